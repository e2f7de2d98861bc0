//! Where connections of ours may go: one policy for all of them, asked after DNS and after redirects.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::Arc;

/// Whether an address may be connected to.
pub(crate) type Check = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Cloud metadata services that lie outside of the link-local ranges.
const METADATA: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// The policy for pulls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Egress {
    /// Whether private ranges and this host are out of bounds too.
    pub(crate) strict: bool,
    /// Ports that we listen on: a stream that pulls itself feeds on itself.
    pub(crate) own_ports: Vec<u16>,
}

impl Egress {
    /// The check for connections to this port.
    pub(crate) fn check(self: &Arc<Self>, port: u16) -> Check {
        let policy = Arc::clone(self);
        Arc::new(move |address| policy.allows(address.to_canonical(), port))
    }

    fn allows(&self, address: IpAddr, port: u16) -> bool {
        if is_never(address) || (self.strict && is_private(address)) {
            return false;
        }
        !(self.own_ports.contains(&port) && is_ours(address))
    }
}

fn is_never(address: IpAddr) -> bool {
    let special = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    special || address.is_unspecified() || address.is_multicast() || METADATA.contains(&address)
}

fn is_private(address: IpAddr) -> bool {
    match address {
        // RFC 6598: behind a carrier's translation.
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_loopback() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback(),
    }
}

/// Whether it is an address of this host: only such a one can be bound.
fn is_ours(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(strict: bool, address: &str, port: u16) -> bool {
        let own_ports = vec![8080];
        let policy = Arc::new(Egress { strict, own_ports });
        policy.check(port)(address.parse().unwrap())
    }

    #[test]
    fn metadata_and_ourselves_are_out_of_bounds() {
        for address in [
            "169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "::ffff:169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
        ] {
            assert!(!allowed(false, address, 80), "{address}");
        }
        assert!(allowed(false, "127.0.0.1", 80) && !allowed(false, "127.0.0.1", 8080));
        assert!(allowed(false, "10.1.2.3", 8080) && allowed(false, "192.0.2.1", 8080));
    }

    #[test]
    fn private_ranges_are_too_where_it_is_strict() {
        for address in [
            "10.1.2.3",
            "192.168.1.1",
            "127.0.0.1",
            "fc00::1",
            "100.64.0.1",
            "::1",
        ] {
            assert!(!allowed(true, address, 80), "{address}");
        }
        assert!(allowed(true, "203.0.113.9", 80));
    }
}
