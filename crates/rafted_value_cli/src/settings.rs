//! The group's settings in words: `election_timeout=2s`.

use rafted_value::{Config, OnPanic};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One setting, as it is written on a shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) field: String,
    pub(crate) value: String,
}

/// `FIELD=VALUE`, with a field that there is and a value that it can have.
pub(crate) fn parse(text: &str) -> Result<Setting, String> {
    let (field, value) = text.split_once('=').ok_or("a setting is FIELD=VALUE, like election_timeout=2s")?;
    let setting = Setting { field: field.to_owned(), value: value.to_owned() };
    set(&mut Config::default(), &setting)?;
    Ok(setting)
}

/// The config with these settings instead of its own.
///
/// What follows the election timeout by default follows it here too: a learner may be silent for longer than an election
/// takes, and a lease that was off stays off, so that nobody trusts clocks by accident.
///
/// # Errors
///
/// Which field cannot be used, and what it must be.
pub(crate) fn apply(config: &Config, settings: &[Setting]) -> Result<Config, String> {
    let mut changed = config.clone();
    for setting in settings {
        set(&mut changed, setting)?;
    }
    let is_set = |field: &str| settings.iter().any(|setting| setting.field == field);
    if !is_set("learner_timeout") {
        changed.learner_timeout = changed.learner_timeout.max(changed.election_timeout.saturating_mul(10));
    }
    if !is_set("clock_drift_margin") && config.clock_drift_margin >= config.election_timeout {
        changed.clock_drift_margin = changed.election_timeout;
    }
    changed.validate().map_err(|invalid| invalid.to_string())?;
    Ok(changed)
}

/// Every field with its value, in the order of [`Config`].
pub(crate) fn show(config: &Config) -> Vec<Setting> {
    let time = |time: Duration| humantime::format_duration(time).to_string();
    let settings = [
        ("heartbeat_interval", time(config.heartbeat_interval)),
        ("election_timeout", time(config.election_timeout)),
        ("clock_drift_margin", time(config.clock_drift_margin)),
        ("max_retained_committed_logs", config.max_retained_committed_logs.to_string()),
        ("max_retained_bytes", config.max_retained_bytes.to_string()),
        ("max_retained_command_results", config.max_retained_command_results.to_string()),
        ("max_retained_result_bytes", config.max_retained_result_bytes.to_string()),
        ("max_sessions", config.max_sessions.to_string()),
        ("session_timeout", time(config.session_timeout)),
        ("max_command_bytes", config.max_command_bytes.to_string()),
        ("max_uncommitted_bytes", config.max_uncommitted_bytes.to_string()),
        ("max_append_bytes", config.max_append_bytes.to_string()),
        ("max_inflight_messages", config.max_inflight_messages.to_string()),
        ("max_inflight_bytes", config.max_inflight_bytes.to_string()),
        ("learner_timeout", time(config.learner_timeout)),
        ("on_panic", on_panic_name(config.on_panic).to_owned()),
        ("leader_hook", config.leader_hook.clone().unwrap_or_else(|| "none".to_owned())),
    ];
    settings.map(|(field, value)| Setting { field: field.to_owned(), value }).into()
}

fn set(config: &mut Config, Setting { field, value }: &Setting) -> Result<(), String> {
    let time =
        || humantime::parse_duration(value).map_err(|_| format!("{field}: {value:?} is no time like 200ms or 2s"));
    let large = || value.parse::<u64>().map_err(|_| format!("{field}: {value:?} is not a whole number"));
    let small = || value.parse::<u32>().map_err(|_| format!("{field}: {value:?} is not a whole number of 32 bits"));
    match field.as_str() {
        "heartbeat_interval" => config.heartbeat_interval = time()?,
        "election_timeout" => config.election_timeout = time()?,
        "clock_drift_margin" => config.clock_drift_margin = time()?,
        "max_retained_committed_logs" => config.max_retained_committed_logs = large()?,
        "max_retained_bytes" => config.max_retained_bytes = large()?,
        "max_retained_command_results" => config.max_retained_command_results = small()?,
        "max_retained_result_bytes" => config.max_retained_result_bytes = large()?,
        "max_sessions" => config.max_sessions = small()?,
        "session_timeout" => config.session_timeout = time()?,
        "max_command_bytes" => config.max_command_bytes = large()?,
        "max_uncommitted_bytes" => config.max_uncommitted_bytes = large()?,
        "max_append_bytes" => config.max_append_bytes = large()?,
        "max_inflight_messages" => config.max_inflight_messages = small()?,
        "max_inflight_bytes" => config.max_inflight_bytes = large()?,
        "learner_timeout" => config.learner_timeout = time()?,
        "on_panic" => {
            let policies = [OnPanic::Keep, OnPanic::Restore, OnPanic::Halt];
            let policy = policies.into_iter().find(|policy| on_panic_name(*policy) == value);
            config.on_panic = policy.ok_or_else(|| format!("on_panic: {value:?} is none of keep, restore, halt"))?;
        }
        "leader_hook" => config.leader_hook = (value != "none").then(|| value.clone()),
        _ => {
            let fields: Vec<String> = show(config).into_iter().map(|setting| setting.field).collect();
            return Err(format!("there is no setting {field:?}; there are {}", fields.join(", ")));
        }
    }
    Ok(())
}

fn on_panic_name(policy: OnPanic) -> &'static str {
    match policy {
        OnPanic::Keep => "keep",
        OnPanic::Restore => "restore",
        OnPanic::Halt => "halt",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(config: &Config, settings: &[&str]) -> Result<Config, String> {
        let settings: Result<Vec<Setting>, String> = settings.iter().map(|text| parse(text)).collect();
        apply(config, &settings?)
    }

    #[test]
    fn every_field_that_is_shown_can_be_set_to_what_is_shown() {
        let mut config = Config::default();
        config.on_panic = OnPanic::Restore;
        config.leader_hook = Some("ring".to_owned());
        config.session_timeout *= 3;
        assert_eq!(apply(&Config::default(), &show(&config)), Ok(config.clone()));
        // Nothing is left out: each field of the config stands in its Debug once.
        let debug = format!("{config:?}");
        assert_eq!(debug.matches(": ").count(), show(&config).len(), "{debug}");
    }

    #[test]
    fn what_cannot_be_set_is_named() {
        let config = Config::default();
        for (setting, named) in [
            ("election_timeout", "FIELD=VALUE"),
            ("election_timeouts=2s", "heartbeat_interval"),
            ("election_timeout=2", "election_timeout"),
            ("max_sessions=-1", "max_sessions"),
            ("max_sessions=0", "max_sessions"),
            ("on_panic=run", "restore"),
        ] {
            let error = changed(&config, &[setting]).expect_err(setting);
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_lease_is_turned_on_by_its_own_setting_only() {
        let config = changed(&Config::default(), &["election_timeout=2s"]).expect("a config");
        assert_eq!(config.clock_drift_margin, Duration::from_secs(2));
        let slow = changed(&Config::default(), &["election_timeout=1min"]).expect("a config");
        assert_eq!(slow.learner_timeout, Duration::from_secs(600));
        let lease = changed(&config, &["clock_drift_margin=500ms"]).expect("a config");
        assert_eq!(lease.clock_drift_margin, Duration::from_millis(500));
        let longer = changed(&lease, &["election_timeout=3s"]).expect("a config");
        assert_eq!(longer.clock_drift_margin, Duration::from_millis(500));
    }
}
