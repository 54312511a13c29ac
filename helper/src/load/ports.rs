//! How soon the built-in load may leave a connection for a new one. The client's port stays taken for a minute after it (TIME_WAIT),
//! and there are 28,000 by default: without them neither the load nor the service's other clients would get any further.

use super::target::Target;
use crate::host::kernel;
use std::net::IpAddr;
use std::time::Duration;

/// So long for each of two clients leaves a few thousand ports.
const WHERE_PORTS_STAY_TAKEN: Duration = Duration::from_millis(5);

/// How long a connection to any of these is to last at least.
pub fn connections_last(targets: &[Target]) -> Duration {
    // Where it cannot be read, they may stay taken.
    let reuse = kernel::read_small("/proc/sys/net/ipv4/tcp_tw_reuse").unwrap_or_default();
    let hosts: Vec<&str> = targets.iter().map(|target| target.host.as_str()).collect();
    if ports_are_reused(reuse.trim(), &hosts) { Duration::ZERO } else { WHERE_PORTS_STAY_TAKEN }
}

/// tcp_tw_reuse: 1 for all connections, 2 (the default since Linux 4.19) for those over the loopback device; then a port
/// is free again after a second.
fn ports_are_reused(reuse: &str, hosts: &[&str]) -> bool {
    let is_loopback = |host: &&str| {
        let number = host.trim_start_matches('[').trim_end_matches(']');
        *host == "localhost" || number.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    };
    reuse == "1" || reuse == "2" && hosts.iter().all(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_for_whom() {
        let reused = |reuse, host| ports_are_reused(reuse, &["127.0.0.1", host]);
        assert!(reused("1", "10.0.0.1") && reused("2", "localhost") && reused("2", "[::1]"));
        assert!(!reused("2", "10.0.0.1") && !reused("0", "localhost") && !reused("", "localhost"));
    }

    #[test]
    fn a_host_that_may_be_elsewhere_is_spared() {
        let of = |url: &str| connections_last(&[Target::parse(url).unwrap()]);
        let everywhere = kernel::read_small("/proc/sys/net/ipv4/tcp_tw_reuse").is_ok_and(|reuse| reuse.trim() == "1");
        let expected = if everywhere { Duration::ZERO } else { WHERE_PORTS_STAY_TAKEN };
        assert_eq!(of("http://service:8080/"), expected);
    }
}
