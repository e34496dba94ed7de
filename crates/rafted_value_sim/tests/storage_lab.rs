//! A small run of the storage lab; the whole one is `cargo run --release -p rafted_value_sim -- storage-lab`.

use rafted_value_sim::storage_lab::Lab;

#[test]
fn nothing_confirmed_is_lost_by_anything_a_disk_may_do() {
    for seed in 1..=2 {
        let report = Lab::new(seed, 30, 61).run(|_| {});
        assert_eq!(report.violations, 0, "seed {seed}: {:#?}", report.first_violations);
        assert!(report.crash_points > 300 && report.torn_offsets > 50 && report.bit_flips > 1000, "{report:?}");
        assert!(report.flips_reported > 300, "{report:?}");
    }
}
