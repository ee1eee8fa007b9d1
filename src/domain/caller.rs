//! Who presents a token, as far as the request shows it: a network and a program.

use std::net::IpAddr;

/// The longest user agent that is kept, in characters.
pub const MAX_AGENT_CHARS: usize = 200;

/// A keyed hash of a caller's network prefix and user agent. Equal hashes: the same caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallerId([u8; 8]);

impl CallerId {
    /// The caller with this hash.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Reads what was stored; `None` when it isn't eight bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The eight bytes to store.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

/// A caller with what people are shown of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its keyed hash.
    pub id: CallerId,
    /// The address it came from.
    pub ip: String,
    /// Its user agent, cut to [`MAX_AGENT_CHARS`].
    pub agent: String,
}

/// The network prefix that stands for an address: /24 of IPv4, /56 of IPv6, so that
/// a phone that gets a new address from the same provider stays the same caller.
pub fn network_prefix(ip: IpAddr) -> Vec<u8> {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            vec![4, a, b, c]
        }
        IpAddr::V6(v6) => {
            let mut prefix = vec![6];
            prefix.extend(v6.octets().iter().take(7));
            prefix
        }
    }
}

/// A user agent cut to the length that is kept, without control characters.
pub fn clean_agent(agent: &str) -> String {
    agent.chars().filter(|c| !c.is_control()).take(MAX_AGENT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_prefix_and_strangers_do_not() {
        let prefix = |ip: &str| network_prefix(ip.parse().unwrap());
        assert_eq!(prefix("203.0.113.24"), prefix("203.0.113.80"));
        assert_ne!(prefix("203.0.113.24"), prefix("203.0.114.24"));
        assert_eq!(prefix("::ffff:203.0.113.24"), prefix("203.0.113.1"));
        assert_eq!(prefix("2001:db8:1:200::1"), prefix("2001:db8:1:2ff::9"));
        assert_ne!(prefix("2001:db8:1:200::1"), prefix("2001:db8:1:300::1"));
    }
}
