//! What the answers of SES mean, over real HTTP: each case is a server that answers so, and counts what it was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use functions::adapters::aws::Aws;
use functions::adapters::ses::Ses;
use shared::delivery::messages::MessageKey;
use shared::delivery::sending::{Answer, Mail, Mailer};
use shared::{MessageId, OrganizationId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What the server does with a connection.
#[derive(Clone)]
enum Behaviour {
    /// Answers so.
    Answers(&'static str, &'static str),
    /// Reads the request and closes without a word.
    Resets,
    /// Promises more bytes than it sends.
    Truncates,
}

/// Sends one mail to a server that behaves so; returns the answer and how many requests the server saw.
async fn meet(behaviour: Behaviour) -> (Answer, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            seen.fetch_add(1, Ordering::SeqCst);
            let text = match &behaviour {
                Behaviour::Answers(head, body) => format!(
                    "HTTP/1.1 {head}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                ),
                Behaviour::Resets => String::new(),
                Behaviour::Truncates => "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"Mess".to_owned(),
            };
            stream.write_all(text.as_bytes()).await.unwrap();
        }
    });
    let answer = send(&format!("http://{address}")).await;
    server.abort();
    (answer, requests.load(Ordering::SeqCst))
}

async fn read_request(stream: &mut tokio::net::TcpStream) {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        read.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&read);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
                .find_map(|length| length.trim().parse::<usize>().ok());
            if body.len() >= length.unwrap_or_default() {
                return;
            }
        }
        if count == 0 {
            return;
        }
    }
}

async fn send(endpoint: &str) -> Answer {
    let config = Aws::load().config.into_builder();
    let credentials = aws_sdk_sesv2::config::Credentials::new("test", "test", None, None, "test");
    let config = config
        .endpoint_url(endpoint)
        .region(aws_sdk_sesv2::config::Region::new("eu-central-1"))
        .credentials_provider(aws_sdk_sesv2::config::SharedCredentialsProvider::new(credentials))
        .build();
    let mail = Mail {
        message: MessageKey { organization: OrganizationId::fresh(), id: MessageId::fresh() },
        attempt: shared::ids::fresh(),
        from: "sender@example.test".to_owned(),
        to: "person@people.test".to_owned(),
        raw: b"Subject: hello\r\n\r\nhello".to_vec(),
    };
    Ses::new(&Aws { config }, "set".to_owned()).send(&mail).await
}

#[tokio::test]
async fn an_id_is_an_acceptance() {
    let (answer, requests) = meet(Behaviour::Answers("200 OK", r#"{"MessageId":"010f"}"#)).await;
    assert_eq!((answer, requests), (Answer::Accepted("010f".to_owned()), 1));
}

#[tokio::test]
async fn what_leaves_the_outcome_open_is_unclear_and_never_tried_again() {
    for behaviour in [
        Behaviour::Answers("200 OK", "{}"),
        Behaviour::Answers("200 OK", "<html>garbage</html>"),
        Behaviour::Answers("500 Internal Server Error", r#"{"message":"oops"}"#),
        Behaviour::Answers("503 Service Unavailable", ""),
        Behaviour::Resets,
        Behaviour::Truncates,
    ] {
        let (answer, requests) = meet(behaviour).await;
        assert!(matches!(answer, Answer::Unclear(_)), "{answer:?}");
        assert_eq!(requests, 1, "{answer:?}");
    }
}

#[tokio::test]
async fn throttling_means_later_and_is_not_tried_again_here() {
    let busy = r#"{"__type":"TooManyRequestsException","message":"Maximum sending rate exceeded."}"#;
    let (answer, requests) = meet(Behaviour::Answers("429 Too Many Requests", busy)).await;
    assert!(matches!(answer, Answer::Later(_)), "{answer:?}");
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn a_closed_account_is_told_apart_from_a_refused_mail() {
    for code in ["AccountSuspendedException", "SendingPausedException", "LimitExceededException"] {
        let body: &'static str = Box::leak(format!(r#"{{"__type":"{code}","message":"no"}}"#).into_boxed_str());
        let (answer, _) = meet(Behaviour::Answers("400 Bad Request", body)).await;
        assert!(matches!(answer, Answer::AccountClosed(_)), "{code}: {answer:?}");
    }
    for (head, body) in [
        ("403 Forbidden", r#"{"__type":"AccessDeniedException","message":"not authorized"}"#),
        ("404 Not Found", r#"{"__type":"NotFoundException","message":"Configuration set <set> does not exist."}"#),
    ] {
        let (answer, _) = meet(Behaviour::Answers(head, body)).await;
        assert!(matches!(answer, Answer::AccountClosed(_)), "a broken installation is no mail's fault: {answer:?}");
    }
    let quota = r#"{"__type":"TooManyRequestsException","message":"Daily message quota exceeded."}"#;
    let (answer, _) = meet(Behaviour::Answers("429 Too Many Requests", quota)).await;
    assert!(matches!(answer, Answer::AccountClosed(_)), "{answer:?}");
    let rejected = r#"{"__type":"MessageRejected","message":"Email address is not verified."}"#;
    let (answer, _) = meet(Behaviour::Answers("400 Bad Request", rejected)).await;
    assert_eq!(
        answer,
        Answer::Refused {
            code: "MessageRejected".to_owned(),
            detail: "Email address is not verified.".to_owned(),
            address_at_fault: false
        }
    );
}

#[tokio::test]
async fn without_a_connection_no_byte_has_left_so_the_mail_may_go_later() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for endpoint in [format!("http://{address}"), "http://no-such-host.invalid".to_owned()] {
        let answer = send(&endpoint).await;
        assert!(matches!(answer, Answer::Later(_)), "{endpoint}: {answer:?}");
    }
}
