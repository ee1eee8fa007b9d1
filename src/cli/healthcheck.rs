//! `perennial healthcheck`: asks the server on this machine whether it is ready.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::answer::Answer;
use super::context;
use super::failure::Failure;
use crate::settings::SettingsFlags;

/// Containers are asked often, and a server that takes longer isn't ready.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn run(flags: SettingsFlags) -> Result<Answer, Failure> {
    let settings = context::settings(flags)?;
    let url = readiness_url(settings.listen, settings.issuer.path());
    let ask = async {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder()
            // It is on this machine: a proxy would be asked for its own localhost.
            .no_proxy()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        client.get(&url).send().await
    };
    match ask.await {
        Ok(answer) if answer.status().is_success() => Ok(Answer::text(format!("ready: {url}"))),
        Ok(answer) => {
            let status = answer.status();
            let body: serde_json::Value = answer.json().await.unwrap_or_default();
            let cause = body.get("cause").and_then(|cause| cause.as_str());
            Err(Failure::Failed(match cause {
                Some(cause) => format!("not ready: {cause}"),
                None => format!("not ready: {url} answered {status}"),
            }))
        }
        Err(error) if error.is_timeout() => Err(Failure::Failed(format!(
            "not ready: {url} didn't answer within {} s",
            PATIENCE.as_secs()
        ))),
        Err(error) if error.is_connect() => {
            Err(Failure::Failed(format!("not ready: nothing listens at {url}")))
        }
        Err(error) => Err(Failure::Failed(format!("not ready: {error}"))),
    }
}

/// Where this machine's server says whether it is ready.
fn readiness_url(listen: SocketAddr, path: &str) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        own => own,
    };
    format!("http://{}{path}/readyz", SocketAddr::new(ip, listen.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_means_all_is_asked_on_loopback() {
        for (listen, path, url) in [
            ("127.0.0.1:8080", "", "http://127.0.0.1:8080/readyz"),
            ("0.0.0.0:80", "/auth", "http://127.0.0.1:80/auth/readyz"),
            ("[::]:8080", "", "http://[::1]:8080/readyz"),
            ("192.0.2.7:8080", "", "http://192.0.2.7:8080/readyz"),
        ] {
            assert_eq!(readiness_url(listen.parse().unwrap(), path), url);
        }
    }
}
