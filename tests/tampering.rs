//! Tokens that this server did not issue as they are, over HTTP: nothing of them is accepted, and
//! no row changes by a byte.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use perennial::crypto::tokens::TokenKeys;
use perennial::domain::refresh_token::RefreshToken;
use perennial::domain::token_family::{KeyId, Presented};

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::local::LocalServer;
use crate::support::oauth::{Device, TokenEndpoint, World};

/// Version, key id, family id, generation, time and MAC.
const LENGTH: usize = 69;
const KEY: std::ops::Range<usize> = 1..5;
const FAMILY: std::ops::Range<usize> = 5..21;
const GENERATION: std::ops::Range<usize> = 21..29;
const TIME: std::ops::Range<usize> = 29..37;

fn bytes(token: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token.strip_prefix("prt_").unwrap()).unwrap()
}

fn text(bytes: &[u8]) -> String {
    format!("prt_{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// `token` with these bytes of `other`.
fn grafted(token: &str, other: &str, part: std::ops::Range<usize>) -> String {
    let mut all = bytes(token);
    all[part.clone()].copy_from_slice(&bytes(other)[part]);
    text(&all)
}

/// A family with an old, a spent and a newest token, and another beside it.
struct Family {
    server: LocalServer,
    device: Device,
    tokens: [String; 3],
    other: String,
}

async fn begin(database: TestDatabase) -> Family {
    let server = LocalServer::start(database).await;
    let world = World::on(&server).await;
    let device = world.device(&world.public);
    let other = world.tokens(&world.public).await.refresh;
    let old = world.tokens(&world.public).await.refresh;
    server.travel_seconds(60);
    let spent = device.refresh(&old).await.tokens().refresh;
    server.travel_seconds(60);
    let newest = device.refresh(&spent).await.tokens().refresh;
    server.travel_seconds(60);
    Family { server, device, tokens: [old, spent, newest], other }
}

impl Family {
    /// Presents each; every one is refused in the same words, and nothing changes.
    async fn refuses(&self, presented: &[String]) {
        let before = self.server.database.dump();
        for token in presented {
            let told = self.device.refresh(token).await.refused(400, "invalid_grant");
            assert_eq!(told, "the refresh token is not valid", "{token}");
        }
        assert_eq!(self.server.database.dump(), before);
        self.goes_on().await;
    }

    /// The real token still rotates, and an altered one has ended nothing.
    async fn goes_on(&self) {
        self.device.refresh(&self.tokens[2]).await.tokens();
    }
}

on_both_databases! {
    async fn no_byte_of_a_token_can_be_changed(database: TestDatabase) {
        let family = begin(database).await;
        let mut altered = Vec::new();
        // An old one too: if it passed, it would end the family.
        for token in [&family.tokens[2], &family.tokens[0]] {
            assert_eq!(bytes(token).len(), LENGTH);
            for place in (0..LENGTH).filter(|place| !KEY.contains(place)) {
                let mut all = bytes(token);
                all[place] ^= if place % 2 == 0 { 1 } else { 0x80 };
                altered.push(text(&all));
            }
        }
        family.refuses(&altered).await;
    }

    async fn a_changed_key_id_is_put_off_and_changes_nothing(database: TestDatabase) {
        let family = begin(database).await;
        let before = family.server.database.dump();
        for token in &family.tokens {
            for place in KEY {
                let mut all = bytes(token);
                all[place] ^= 0x40;
                family.device.refresh(&text(&all)).await.refused(503, "temporarily_unavailable");
            }
        }
        assert_eq!(family.server.database.dump(), before);
        family.goes_on().await;
    }

    async fn no_token_can_be_cut_or_stretched(database: TestDatabase) {
        let family = begin(database).await;
        let token = &family.tokens[2];
        let mut wrong: Vec<String> =
            (1..token.len()).step_by(5).map(|length| token[..length].to_owned()).collect();
        wrong.push(token[..token.len() - 1].to_owned());
        wrong.push(token[1..].to_owned());
        for more in ["A", "=", "==", "AAAA", "%00", "~", "."] {
            wrong.push(format!("{token}{more}"));
        }
        let mut longer = bytes(token);
        longer.push(0);
        wrong.push(text(&longer));
        wrong.push(text(&[bytes(token), bytes(token)].concat()));
        wrong.push(token.replacen("prt_", "pat_", 1));
        wrong.push(token.to_uppercase());
        wrong.push(token.to_lowercase());
        // Standard base64 for letters that the strict form writes otherwise.
        let mut with_plus = bytes(token);
        with_plus[LENGTH - 3..].copy_from_slice(&[0xfb, 0xff, 0xbf]);
        wrong.push(format!("prt_{}", STANDARD_NO_PAD.encode(with_plus)));
        family.refuses(&wrong).await;
    }

    async fn no_part_of_one_token_counts_in_another(database: TestDatabase) {
        let family = begin(database).await;
        let [old, spent, newest] = &family.tokens;
        let mut wrong = Vec::new();
        for token in [old, spent, newest] {
            wrong.push(grafted(token, &family.other, FAMILY));
            wrong.push(grafted(&family.other, token, FAMILY));
            for from in [old, spent, newest].into_iter().filter(|from| *from != token) {
                wrong.push(grafted(token, from, GENERATION));
                wrong.push(grafted(token, from, TIME));
            }
        }
        // Any generation, with the newest one's MAC.
        for generation in [0u64, 1, 2, 4, 5, 6, 100, i64::MAX as u64, u64::MAX] {
            let mut all = bytes(newest);
            all[GENERATION].copy_from_slice(&generation.to_be_bytes());
            wrong.push(text(&all));
        }
        family.refuses(&wrong).await;
    }

    async fn a_token_under_somebody_elses_key_or_nonce_is_nothing(database: TestDatabase) {
        let family = begin(database).await;
        let real = RefreshToken::parse(&family.tokens[2]).unwrap();
        let key = real.presented.key;
        let mut forged = Vec::new();
        for secret in [[0u8; 32], [7; 32], [0xff; 32]] {
            let keys = TokenKeys::new([(key, secret.to_vec())], key).unwrap();
            for generation in 1..=5 {
                let presented = Presented { generation, ..real.presented };
                forged.push(keys.refresh_token(real.family, presented, &[0; 16]).unwrap());
            }
        }
        assert_ne!(key, KeyId(u32::MAX));
        family.refuses(&forged).await;
    }
}
