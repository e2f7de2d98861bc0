//! Where connections of ours may go: one policy for all of them, asked after DNS and after redirects.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Whether an address may be connected to.
pub(crate) type Check = Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>;

/// Cloud metadata services that lie outside of the link-local ranges.
const METADATA: [IpAddr; 5] = [
    // Alibaba.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Azure.
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // Oracle.
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    // Amazon.
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    // Google.
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// The policy for pulls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Egress {
    /// Whether private ranges and this host are out of bounds too.
    pub(crate) strict: bool,
    /// Of the private ranges, those that hooks may reach.
    pub(crate) hooks: Vec<Range>,
    /// Ports that we listen on: a stream that pulls itself feeds on itself.
    pub(crate) own_ports: Vec<u16>,
}

impl Egress {
    /// The check for connections.
    pub(crate) fn check(self: &Arc<Self>) -> Check {
        let policy = Arc::clone(self);
        Arc::new(move |address| policy.allows(address))
    }

    /// The check for hooks and callbacks: never private ranges, but those that are named.
    pub(crate) fn check_hooks(self: &Arc<Self>) -> Check {
        let policy = Arc::clone(self);
        Arc::new(move |address| {
            let ip = plain(address.ip());
            let named = policy.hooks.iter().any(|range| range.contains(ip));
            let both = [address.ip(), ip];
            let reachable = both.iter().all(|ip| policy.reaches(*ip, address.port()));
            reachable && (named || !both.iter().any(|ip| is_private(*ip)))
        })
    }

    /// An address is judged as it is, and as the IPv4 address that it leads to.
    fn allows(&self, address: SocketAddr) -> bool {
        let mut both = [address.ip(), plain(address.ip())].into_iter();
        both.all(|ip| self.allows_ip(ip, address.port()))
    }

    fn allows_ip(&self, address: IpAddr, port: u16) -> bool {
        self.reaches(address, port) && !(self.strict && is_private(address))
    }

    /// What holds for all.
    fn reaches(&self, address: IpAddr, port: u16) -> bool {
        let own = self.own_ports.contains(&port) && is_ours(address);
        !own && !is_never(address)
    }
}

/// Addresses that begin alike: `10.0.0.0/8`, `fd00::/8`, or one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Range {
    first: IpAddr,
    /// Leading bits that all of them have.
    bits: u32,
}

impl Range {
    fn contains(self, address: IpAddr) -> bool {
        let same = |a: u128, b: u128, all: u32| {
            let free = all - self.bits;
            a.checked_shr(free).unwrap_or(0) == b.checked_shr(free).unwrap_or(0)
        };
        match (self.first, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
            _ => false,
        }
    }
}

impl TryFrom<String> for Range {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WHY: &str = "an address, or a range like 10.0.0.0/8";
        let (first, bits) = text.split_once('/').unwrap_or((&text, ""));
        let first: IpAddr = first.parse().map_err(|_| WHY)?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            "" if !text.contains('/') => most,
            bits => bits.parse().map_err(|_| WHY)?,
        };
        if bits > most {
            return Err(WHY);
        }
        Ok(Self { first, bits })
    }
}

impl From<Range> for String {
    fn from(range: Range) -> Self {
        format!("{}/{}", range.first, range.bits)
    }
}

/// The IPv4 address inside of one of IPv6: mapped and compatible (RFC 4291), translated by NAT64
/// (RFC 6052), tunnelled by 6to4 (RFC 3056).
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let octets = v6.octets();
    let [.., a, b, c, d] = octets;
    let inner = match v6.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0..=1] => return address,
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => [a, b, c, d],
        [0x2002, ..] => [octets[2], octets[3], octets[4], octets[5]],
        _ => return address,
    };
    inner.into()
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
        IpAddr::V4(v4) => {
            let special = match v4.octets() {
                // This network, protocols of the IETF, tests between networks, reserved.
                [0 | 240.., ..] | [192, 0, 0, _] | [198, 18 | 19, ..] => true,
                // RFC 6598: behind a carrier's translation.
                [100, 64..=127, ..] => true,
                _ => false,
            };
            special || v4.is_private() || v4.is_loopback()
        }
        IpAddr::V6(v6) => {
            let special = match v6.segments() {
                // RFC 8215: translated in ways that only this network knows.
                [0x64, 0xff9b, 1, ..] => true,
                // RFC 3879: site-local, of old.
                [first, ..] => first & 0xffc0 == 0xfec0,
            };
            special || v6.is_unique_local() || v6.is_loopback()
        }
    }
}

/// Whether it is an address of this host: what is sent there comes from there.
fn is_ours(address: IpAddr) -> bool {
    address.is_loopback() || source_towards(address).is_ok_and(|source| source == address)
}

/// Where the kernel would send from. Connecting a UDP socket sends nothing.
fn source_towards(address: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((address, 9))?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(strict: bool, address: &str, port: u16) -> bool {
        let own_ports = vec![8080];
        let hooks = Vec::new();
        let policy = Arc::new(Egress {
            strict,
            hooks,
            own_ports,
        });
        policy.check()(SocketAddr::new(address.parse().unwrap(), port))
    }

    #[test]
    fn metadata_and_ourselves_are_out_of_bounds() {
        for address in [
            "169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "::",
            "224.0.0.1",
        ] {
            assert!(!allowed(false, address, 80), "{address}");
        }
        assert!(allowed(false, "127.0.0.1", 80) && !allowed(false, "127.0.0.1", 8080));
        assert!(allowed(false, "::1", 80) && !allowed(false, "::1", 8080));
        assert!(allowed(false, "10.1.2.3", 8080) && allowed(false, "192.0.2.1", 8080));
    }

    #[test]
    fn addresses_inside_of_others_are_judged() {
        for address in [
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b::100.100.100.200",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(!allowed(false, address, 80), "{address}");
        }
        for address in ["64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1"] {
            assert!(!allowed(false, address, 8080), "{address}");
            assert!(!allowed(true, address, 80), "{address}");
        }
        assert!(allowed(true, "64:ff9b::203.0.113.9", 80));
    }

    /// Where there is a way out, it has an address of ours.
    #[test]
    fn our_own_addresses_are_known() {
        for out in ["192.0.2.1", "2001:db8::1"] {
            let Ok(own) = source_towards(out.parse().unwrap()) else {
                continue;
            };
            assert!(is_ours(own) && !is_ours(out.parse().unwrap()), "{own}");
        }
    }

    #[test]
    fn hooks_stay_out_of_private_ranges_that_are_not_named() {
        let range = |text: &str| Range::try_from(text.to_owned()).unwrap();
        let policy = Arc::new(Egress {
            strict: true,
            hooks: ["10.1.0.0/16", "fd00::/8", "127.0.0.1", "169.254.0.0/16"]
                .map(range)
                .to_vec(),
            own_ports: vec![8080],
        });
        let check = policy.check_hooks();
        let allowed = |address: &str, port| check(SocketAddr::new(address.parse().unwrap(), port));
        for address in [
            "203.0.113.9",
            "10.1.2.3",
            "fd12::1",
            "127.0.0.1",
            "::ffff:10.1.2.3",
        ] {
            assert!(allowed(address, 80), "{address}");
        }
        for address in [
            "fec0::1",
            "64:ff9b:1::1",
            "10.2.0.1",
            "127.0.0.2",
            "::1",
            "192.168.1.1",
            "169.254.169.254",
            "::ffff:10.2.0.1",
        ] {
            assert!(!allowed(address, 80), "{address}");
        }
        assert!(!allowed("127.0.0.1", 8080), "our own listener");
        for wrong in ["", "10.0.0.0/33", "10.0.0.0/", "x/8", "::/129"] {
            assert!(Range::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
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
            "0.1.2.3",
            "192.0.0.8",
            "198.19.255.1",
            "240.0.0.1",
        ] {
            assert!(!allowed(true, address, 80), "{address}");
        }
        for address in ["203.0.113.9", "198.20.0.1", "192.0.1.1", "100.128.0.1"] {
            assert!(allowed(true, address, 80), "{address}");
        }
    }
}
