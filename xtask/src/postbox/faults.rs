//! A seeded plan of faults in the SES API itself.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::draws;
use super::refusals::{Refusal, with_request_id};

/// How long a hanging answer takes: longer than any sensible timeout of a caller.
const HANG: Duration = Duration::from_secs(60);

/// A fault of one SendEmail attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Fault {
    /// 429 TooManyRequestsException; the mail is not accepted.
    #[serde(rename = "throttle")]
    Throttle,
    /// 500; the mail is not accepted.
    #[serde(rename = "error_500")]
    Error500,
    /// 503; the mail is not accepted.
    #[serde(rename = "error_503")]
    Error503,
    /// The mail is accepted, and the answer is 500.
    #[serde(rename = "accept_then_500")]
    AcceptThen500,
    /// The mail is accepted, and the answer is 200 with a body that is not JSON.
    #[serde(rename = "garbage_200")]
    Garbage200,
    /// The mail is accepted, and no answer comes for 60 seconds, then a 500.
    #[serde(rename = "hang")]
    Hang,
}

impl Fault {
    /// The name used in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Throttle => "throttle",
            Self::Error500 => "error_500",
            Self::Error503 => "error_503",
            Self::AcceptThen500 => "accept_then_500",
            Self::Garbage200 => "garbage_200",
            Self::Hang => "hang",
        }
    }

    /// The refusal, for a fault that comes before the mail is accepted.
    pub(crate) fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Throttle => Some(Refusal::throttled()),
            Self::Error500 => Some(Refusal::internal()),
            Self::Error503 => Some(Refusal::unavailable("The service is unavailable.")),
            Self::AcceptThen500 | Self::Garbage200 | Self::Hang => None,
        }
    }

    /// The answer to a mail that was accepted all the same.
    pub(crate) async fn answer(self) -> Response {
        match self {
            Self::Garbage200 => {
                let body = "<html><body>It works!</body></html>";
                with_request_id((StatusCode::OK, body).into_response())
            }
            Self::Hang => {
                tokio::time::sleep(HANG).await;
                Refusal::internal().into_response()
            }
            _ => Refusal::internal().into_response(),
        }
    }
}

/// A seeded plan of faults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Faults {
    /// The seed.
    pub(crate) seed: u64,
    /// How often each fault comes, as shares of one.
    #[serde(default)]
    pub(crate) kinds: BTreeMap<Fault, f64>,
}

impl Faults {
    /// Says why the plan is impossible, if it is.
    pub(crate) fn refuse(&self) -> Option<String> {
        draws::refuse_weights(&self.kinds.values().copied().collect::<Vec<_>>())
    }

    /// The fault of an attempt, named by the mail's `message_id` and `attempt` tags.
    pub(crate) fn decide(&self, message: &str, attempt: &str) -> Option<Fault> {
        let share = draws::share(self.seed, "fault", &[message, attempt]);
        draws::choose(share, self.kinds.iter().map(|(fault, weight)| (*fault, *weight)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_depend_on_the_attempt() {
        let faults = Faults { seed: 7, kinds: [(Fault::Throttle, 0.3), (Fault::Hang, 0.2)].into() };
        let of = |attempt: &str| -> Vec<_> {
            (0..1_000).map(|number| faults.decide(&format!("m{number}"), attempt)).collect()
        };
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
        let throttled = of("a").iter().filter(|fault| **fault == Some(Fault::Throttle)).count();
        assert!((240..=360).contains(&throttled), "{throttled}");
        assert_eq!(Faults::default().decide("m", "a"), None);
    }

    #[test]
    fn names_are_those_of_the_json() {
        let faults: Faults =
            serde_json::from_str(r#"{"seed":1,"kinds":{"throttle":0.1,"error_500":0.1,"error_503":0.1,"accept_then_500":0.1,"garbage_200":0.1,"hang":0.1}}"#)
                .unwrap();
        for fault in faults.kinds.keys() {
            assert_eq!(serde_json::to_value(fault).unwrap(), fault.name());
        }
        let unknown = serde_json::from_str::<Faults>(r#"{"seed":1,"kinds":{"reset":0.1}}"#);
        assert!(unknown.unwrap_err().to_string().contains("reset"));
    }
}
