//! A small run of the storage lab; the whole one is `cargo run --release -p rafted_value_sim -- storage-lab`.

use rafted_value_sim::storage_lab::Lab;

#[test]
fn nothing_confirmed_is_lost_by_anything_a_disk_may_do() {
    for seed in 1..=3 {
        let report = Lab::new(seed, 40, 31).run(|_| {});
        assert_eq!(report.violations, 0, "seed {seed}: {:#?}", report.first_violations);
        assert!(report.crash_points > 500 && report.torn_offsets > 300 && report.bit_flips > 3000, "{report:?}");
        assert!(report.flips_reported > 1000, "{report:?}");
    }
}
