//! Where a request comes from. `X-Forwarded-For` counts only when a trusted proxy sent it.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::HttpRequest;
use actix_web::http::header;
use ipnet::IpNet;

use super::state::AppState;
use crate::domain::caller::{Caller, clean_agent};

/// The address of whoever sent the request: the nearest one that isn't a trusted proxy.
pub fn address(request: &HttpRequest, trusted: &[IpNet]) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let forwarded: Vec<&str> = request
        .headers()
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    nearest(peer.to_canonical(), &forwarded, trusted)
}

/// An address as proxies write it: bare, or with a port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.trim().trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| hop.parse::<std::net::SocketAddr>().ok().map(|with| with.ip()))
}

fn nearest(peer: IpAddr, forwarded: &[&str], trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|net| net.contains(ip));
    let mut nearest = peer;
    for hop in forwarded.iter().rev() {
        if !is_trusted(&nearest) {
            break;
        }
        match hop_address(hop) {
            Some(ip) => nearest = ip.to_canonical(),
            None => break,
        }
    }
    nearest
}

/// The user agent, cut to what is kept.
pub fn agent(request: &HttpRequest) -> String {
    let agent = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    clean_agent(agent.unwrap_or_default())
}

/// The caller: its address, its program, and their keyed hash.
pub fn caller(request: &HttpRequest, state: &AppState) -> Caller {
    let ip = address(request, &state.settings.trusted_proxies);
    let agent = agent(request);
    Caller { id: state.keyring.callers().id(ip, &agent), ip: ip.to_string(), agent }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn forwarded_addresses_count_only_behind_trusted_proxies() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let from = |peer: &str, forwarded: &[&str]| nearest(ip(peer), forwarded, &trusted);
        assert_eq!(from("203.0.113.9", &["1.2.3.4"]), ip("203.0.113.9"), "a liar");
        assert_eq!(from("10.0.0.1", &["1.2.3.4"]), ip("1.2.3.4"));
        assert_eq!(from("10.0.0.1", &["6.6.6.6", "1.2.3.4", "10.0.0.2"]), ip("1.2.3.4"));
        assert_eq!(from("10.0.0.1", &["1.2.3.4:5678"]), ip("1.2.3.4"));
        assert_eq!(from("10.0.0.1", &["[2001:db8::1]:5678"]), ip("2001:db8::1"));
        assert_eq!(from("10.0.0.1", &["nonsense"]), ip("10.0.0.1"));
        assert_eq!(from("10.0.0.1", &[]), ip("10.0.0.1"));
    }
}
