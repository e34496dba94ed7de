use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn unusual() -> Config {
    Config::builder()
        .heartbeat_interval(SECOND)
        .election_timeout(5 * SECOND)
        .clock_drift_margin(SECOND)
        .max_retained_committed_logs(1)
        .max_retained_bytes(2)
        .max_retained_command_results(3)
        .max_retained_result_bytes(10)
        .max_sessions(4)
        .session_timeout(5 * SECOND)
        .max_command_bytes(5)
        .max_uncommitted_bytes(6)
        .max_append_bytes(7)
        .max_inflight_messages(8)
        .max_inflight_bytes(9)
        .learner_timeout(60 * SECOND)
        .on_panic(OnPanic::Restore)
        .leader_hook("mail")
        .build()
        .unwrap()
}

fn core_with(extra: &[u8]) -> CoreConfig {
    CoreConfig { extra: Bytes::copy_from_slice(extra), ..CoreConfig::default() }
}

#[test]
fn defaults_are_those_of_the_seed() {
    let config = Config::builder().build().unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.heartbeat_interval, Duration::from_millis(200));
    assert_eq!((config.election_timeout, config.clock_drift_margin), (SECOND, SECOND));
    assert_eq!((config.max_retained_committed_logs, config.max_retained_command_results), (100, 100));
    assert_eq!((config.on_panic, config.leader_hook), (OnPanic::Keep, None));
}

#[test]
fn defaults_follow_the_election_timeout() {
    let config = Config::builder().election_timeout(20 * SECOND).build().unwrap();
    assert_eq!((config.clock_drift_margin, config.learner_timeout), (20 * SECOND, 200 * SECOND));
}

#[test]
fn errors_name_the_field_and_what_it_must_be() {
    let build = Config::builder;
    let cases = [
        (build().heartbeat_interval(Duration::ZERO), "heartbeat_interval must be longer than zero"),
        (build().heartbeat_interval(SECOND), "election_timeout must be at least twice heartbeat_interval"),
        (build().clock_drift_margin(2 * SECOND), "clock_drift_margin must be at most election_timeout"),
        (build().learner_timeout(SECOND), "learner_timeout must be at least twice election_timeout"),
        (build().session_timeout(SECOND / 2), "session_timeout must be at least election_timeout"),
        (build().max_sessions(0), "max_sessions must be larger than zero"),
        (build().max_retained_command_results(0), "max_retained_command_results must be larger than zero"),
        (build().max_retained_result_bytes(0), "max_retained_result_bytes must be larger than zero"),
        (build().max_command_bytes(0), "max_command_bytes must be larger than zero"),
        (build().max_command_bytes(1 << 40), "max_command_bytes must be at most 32 MiB"),
        (build().max_append_bytes(1 << 40), "max_append_bytes must be at most 32 MiB"),
        (build().max_uncommitted_bytes(1 << 20), "max_command_bytes must be at most max_uncommitted_bytes"),
        (build().max_append_bytes(0), "max_append_bytes must be larger than zero"),
        (build().max_inflight_messages(0), "max_inflight_messages must be larger than zero"),
        (build().max_inflight_bytes(0), "max_inflight_bytes must be larger than zero"),
        (build().election_timeout(SECOND * 3_601), "session_timeout must be at least election_timeout"),
        (
            build().election_timeout(SECOND * 86_401).session_timeout(SECOND * 86_401),
            "election_timeout must be at most a day",
        ),
        (build().leader_hook("x".repeat(256)), "leader_hook must be a name of 1 to 255 bytes"),
        (build().leader_hook(""), "leader_hook must be a name of 1 to 255 bytes"),
    ];
    for (builder, message) in cases {
        assert_eq!(builder.build().unwrap_err().to_string(), message);
    }
}

#[test]
fn the_log_carries_every_field() {
    for config in [Config::default(), unusual()] {
        assert_eq!(Config::from_core(&config.to_core()), Ok(config));
    }
    assert_eq!(Config::from_core(&CoreConfig::default()), Ok(Config::default()));
}

#[test]
fn the_bytes_never_change() {
    assert_eq!(
        unusual().to_core().extra,
        b"\x01\x08\x01\x10\x05\x18\x03\x20\x04\x2a\x04mail\x30\x0a\x38\x80\xe4\x97\xd0\x12".as_slice()
    );
}

#[test]
fn settings_of_other_builds() {
    let with_sessions = |max_sessions| Config { max_sessions, ..Config::default() };
    let cases: [(&str, &[u8], _); 5] = [
        ("an older one, which set less", b"\x01\x20\x04", Ok(with_sessions(4))),
        ("a newer one, with a field 99", b"\x01\x9a\x06\x02hi\x20\x04", Ok(with_sessions(4))),
        ("one that must not be ignored", b"\x02\x20\x04", Err("settings of version 2, this build knows version 1")),
        ("a policy of the future", b"\x01\x08\x09", Err("a setting on_panic of 9, which this build does not know")),
        (
            "damage",
            b"\x01\x2a\x04ma",
            Err("settings that cannot be read: failed to decode Protobuf message: Extra.leader_hook: buffer underflow"),
        ),
    ];
    for (what, extra, expected) in cases {
        let config = Config::from_core(&core_with(extra)).map_err(|error| error.to_string());
        assert_eq!(config, expected.map_err(str::to_owned), "{what}");
    }
}
