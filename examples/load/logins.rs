//! `load logins`: a flood of sign-ins with wrong passwords, each of which costs a hash.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Client, Url};
use tokio::runtime;
use tokio::task::JoinSet;

use crate::figures::{Figures, times};

#[derive(Debug, clap::Args)]
pub struct Logins {
    /// The sign-in page of a Perennial whose throttle is set high enough
    #[arg(long)]
    url: Url,
    /// How many sign in at once
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// For how long
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Logins {
    pub fn run(self) -> anyhow::Result<()> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async move {
            let until = Instant::now() + Duration::from_secs_f64(self.seconds);
            let mut people = JoinSet::new();
            for n in 0..self.clients {
                people.spawn(sign_in(self.url.clone(), n, until));
            }
            let mut times = times()?;
            while let Some(own) = people.join_next().await {
                times.add(own??)?;
            }
            let span = Duration::from_secs_f64(self.seconds);
            Figures::new("sign-ins", self.clients, span, &times).print(self.json)
        })
    }
}

/// Signs in with a wrong password over and over.
async fn sign_in(
    url: Url,
    n: usize,
    until: Instant,
) -> anyhow::Result<hdrhistogram::Histogram<u64>> {
    let mut times = times()?;
    let http = Client::new();
    let page = http.get(url.clone()).send().await?.error_for_status()?;
    let cookies: Vec<String> = page
        .headers()
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok()?.split(';').next().map(str::to_owned))
        .collect();
    let html = page.text().await?;
    let token = html
        .split("name=\"csrf\" value=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .context("the page has no CSRF token")?;
    for turn in 0.. {
        let begun = Instant::now();
        if begun >= until {
            break;
        }
        let name = format!("nobody-{n}-{turn}");
        let answer = http
            .post(url.clone())
            .header(COOKIE, cookies.join("; "))
            .form(&[("csrf", token), ("username", &name), ("password", "not the password")])
            .send()
            .await?;
        ensure!(!answer.status().is_server_error(), "{}", answer.status());
        times.record(u64::try_from(begun.elapsed().as_micros())?.max(1))?;
    }
    Ok(times)
}
