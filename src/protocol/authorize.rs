//! The authorization request (RFC 6749 section 4.1.1 with PKCE, RFC 7636, and OpenID Connect Core
//! section 3.1.2): its parameters, the check, what the person must do, and the answer, always
//! with `iss` (RFC 9207).

mod answer;
mod asked;
mod check;
mod grant;
mod next;
mod parameters;

pub(super) use answer::with_query;
pub use answer::{Answer, ErrorAnswer, ResponseMode, Return};
pub use asked::Asked;
pub use check::{Checked, PageKind, PageRefusal, Refused, check, refusal};
pub use grant::{Owner, grant};
pub use next::{Next, Present, Round, next};
pub use parameters::Parameters;
