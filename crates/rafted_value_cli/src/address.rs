//! Addresses as people type them.

use std::net::IpAddr;

/// `HOST:PORT`, checked before anything waits for it.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err("an address is HOST:PORT, like 127.0.0.1:7101".to_owned()),
    }
}

/// Whether nobody outside of this machine reaches it. A name is not looked up: it may mean something else tomorrow.
pub(crate) fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The port of an address that was parsed.
pub(crate) fn port(address: &str) -> Option<u16> {
    address.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for good in ["127.0.0.1:7101", "localhost:0", "[::1]:7101"] {
            assert_eq!(parse(good).as_deref(), Ok(good));
        }
        for bad in ["", "7101", "127.0.0.1", ":7101", "127.0.0.1:", "127.0.0.1:port", "127.0.0.1:65536"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn loopback_is_this_machine() {
        for here in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"] {
            assert!(is_loopback(here), "{here}");
        }
        for there in ["0.0.0.0:1", "[::]:1", "10.0.0.7:1", "example.org:1"] {
            assert!(!is_loopback(there), "{there}");
        }
    }
}
