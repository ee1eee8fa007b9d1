//! Which addresses of the internet others may make this server ask: those that are everybody's.
//! By the IANA registries of special-purpose addresses (RFC 6890).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length)
}

/// IPv4 networks that aren't everybody's.
const SPECIAL_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 0, 8),       // this network
    v4(10, 0, 0, 0, 8),      // private
    v4(100, 64, 0, 0, 10),   // shared by a carrier's customers
    v4(127, 0, 0, 0, 8),     // loopback
    v4(169, 254, 0, 0, 16),  // link-local, with the clouds' metadata services
    v4(172, 16, 0, 0, 12),   // private
    v4(192, 0, 0, 0, 24),    // protocol assignments
    v4(192, 0, 2, 0, 24),    // documentation
    v4(192, 88, 99, 0, 24),  // 6to4 relays
    v4(192, 168, 0, 0, 16),  // private
    v4(198, 18, 0, 0, 15),   // benchmarks
    v4(198, 51, 100, 0, 24), // documentation
    v4(203, 0, 113, 0, 24),  // documentation
    v4(224, 0, 0, 0, 4),     // multicast
    v4(240, 0, 0, 0, 4),     // reserved, and broadcast
];

/// What of IPv6 is routed at all.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);

/// Parts of it that aren't everybody's.
const SPECIAL_V6: [Ipv6Net; 3] = [
    v6(0x2001, 0, 23),      // protocol assignments, Teredo among them
    v6(0x2001, 0x0db8, 32), // documentation
    v6(0x3fff, 0, 20),      // documentation
];

/// What an operator may open beside the public addresses: networks that are their own.
const INSIDE_V4: [Ipv4Net; 5] = [
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(172, 16, 0, 0, 12),
    v4(192, 168, 0, 0, 16),
];
const INSIDE_V6: [Ipv6Net; 2] = [Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), v6(0xfc00, 0, 7)];

/// How far requests may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To public addresses.
    Public,
    /// To private, shared and loopback ones as well. Never to link-local ones: that is where
    /// clouds hand out a machine's credentials.
    Inside,
}

impl Reach {
    /// Whether this address may be connected to.
    pub fn allows(self, address: IpAddr) -> bool {
        let address = plain(address);
        is_public(address)
            || self == Self::Inside
                && match address {
                    IpAddr::V4(v4) => INSIDE_V4.iter().any(|net| net.contains(&v4)),
                    IpAddr::V6(v6) => INSIDE_V6.iter().any(|net| net.contains(&v6)),
                }
    }
}

/// Whether it is this machine's own, in whichever writing.
pub fn is_loopback(address: IpAddr) -> bool {
    plain(address).is_loopback()
}

/// The IPv4 address that an IPv6 one leads to, where it does: mapped (RFC 4291), 6to4 (RFC
/// 3056), or translated by NAT64 (RFC 6052).
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 =
        |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => v4(g, h),
        (0x2002, ..) => v4(b, c),
        _ => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !SPECIAL_V4.iter().any(|net| net.contains(&v4)),
        IpAddr::V6(v6) => {
            GLOBAL_V6.contains(&v6) && !SPECIAL_V6.iter().any(|net| net.contains(&v6))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(reach: Reach, text: &str) -> bool {
        reach.allows(text.parse().unwrap())
    }

    #[test]
    fn public_addresses_are_asked() {
        for address in [
            "93.184.216.34",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "223.255.255.255",
            "2606:2800:21f:cb07::1",
            "2a00::1",
            "::ffff:93.184.216.34",
            "64:ff9b::5db8:d822",
            "2002:5db8:d822::1",
        ] {
            assert!(allows(Reach::Public, address), "{address}");
            assert!(allows(Reach::Inside, address), "{address}");
        }
    }

    #[test]
    fn an_operators_own_networks_are_asked_only_if_they_say_so() {
        for address in [
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "::1",
            "fd12:3456::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "2002:7f00:1::",
        ] {
            assert!(!allows(Reach::Public, address), "{address}");
            assert!(allows(Reach::Inside, address), "{address}");
        }
    }

    #[test]
    fn nobodys_addresses_are_never_asked() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::2",
            "::10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:a9fe:a9fe::1",
            "3fff::1",
            "5f00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!allows(Reach::Public, address), "{address}");
            assert!(!allows(Reach::Inside, address), "{address}");
        }
    }
}
