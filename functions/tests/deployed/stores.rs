//! What the adapters of S3 and SQS rely on, against what answers for them on the local stack.

use std::time::Duration;

use aws_sdk_s3::config::{Credentials, Region, SharedCredentialsProvider};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use functions::adapters::aws::Aws;
use functions::adapters::object_store::S3Store;
use functions::adapters::sqs::{SqsDepths, SqsQueue};
use functions::events::hints::Hidden as _;
use shared::audience::imports::ObjectStore as _;
use shared::platform::administration::health::Queues as _;
use shared::platform::exports::ArchiveStore as _;
use shared::platform::organizations::logos::RemovingStore as _;

use crate::stack::Stack;

/// The least that S3 takes for a part but the last.
const PART: usize = 5 << 20;
/// How long a link of the tests is good.
const VALID: Duration = Duration::from_secs(300);

fn aws(stack: &Stack) -> Aws {
    let credentials = Credentials::new("test", "test", None, None, "the tests");
    let config = Aws::load().config.into_builder();
    let config = config
        .endpoint_url(&stack.emulator)
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    Aws { config }
}

/// A bucket of the test's own.
async fn bucket(stack: &Stack) -> S3Store {
    let name = stack.unique("stores");
    let aws = aws(stack);
    let path_style = aws_sdk_s3::config::Builder::from(&aws.config).force_path_style(true).build();
    aws_sdk_s3::Client::from_conf(path_style).create_bucket().bucket(&name).send().await.unwrap();
    S3Store::new(&aws, name)
}

async fn read(store: &S3Store, key: &str) -> Vec<u8> {
    store.read_start(key, 64 << 20).await.unwrap().unwrap()
}

#[tokio::test]
#[ignore = "needs the deployed stack: `cargo xtask test` runs it"]
async fn an_archive_becomes_of_its_parts_in_order_each_as_it_was_put_last() {
    let stack = Stack::from_environment();
    let store = bucket(&stack).await;
    let key = "exports/one/archive.zip";
    assert_eq!(store.presign_zip(key, "archive.zip", VALID).await.unwrap(), None, "there is none yet");
    let upload = store.begin(key).await.unwrap();
    let first = store.put_part(key, &upload, 1, vec![b'a'; PART]).await.unwrap().unwrap();
    store.put_part(key, &upload, 2, vec![b'x'; 3]).await.unwrap().unwrap();
    // Whoever was killed after putting a part puts it again.
    let second = store.put_part(key, &upload, 2, b"the end".to_vec()).await.unwrap().unwrap();
    assert!(store.head(key).await.unwrap().is_none(), "nothing is there before it is completed");
    let etags = [first, second];
    assert!(store.complete(key, &upload, &etags).await.unwrap());
    let whole = read(&store, key).await;
    assert_eq!((whole.len(), &whole[PART..]), (PART + 7, b"the end".as_slice()));
    assert!(whole[..PART].iter().all(|byte| *byte == b'a'));
    // Completed before, by whoever was killed then: the upload is gone, and the archive is there.
    assert!(store.complete(key, &upload, &etags).await.unwrap());
    assert_eq!(store.put_part(key, &upload, 3, b"late".to_vec()).await.unwrap(), None);
    assert!(!store.complete("exports/one/another.zip", &upload, &etags).await.unwrap(), "neither upload nor archive");

    let url = store.presign_zip(key, "martlet-2026-03-04.zip", VALID).await.unwrap().unwrap();
    let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/zip");
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=\"martlet-2026-03-04.zip\"");
    assert_eq!(answer.bytes().await.unwrap().len(), PART + 7);
}

#[tokio::test]
#[ignore = "needs the deployed stack: `cargo xtask test` runs it"]
async fn a_file_that_is_put_in_parts_is_there_when_it_is_completed_and_never_when_it_is_given_up() {
    let stack = Stack::from_environment();
    let store = bucket(&stack).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let put = async |key: &str, upload: &str, number: i32, bytes: Vec<u8>| {
        let part = store.presign_part(key, upload, number, bytes.len() as u64, VALID).await.unwrap();
        // No more and no less than was told.
        assert!(part.url.contains("X-Amz-SignedHeaders=content-length%3Bhost"), "{}", part.url);
        let request = part.headers.iter().fold(http.put(&part.url), |put, (name, value)| put.header(name, value));
        request.body(bytes).send().await.unwrap().status().as_u16()
    };
    let key = "uploads/one/people.csv";
    let upload = store.begin_upload(key).await.unwrap();
    assert_eq!(store.list_parts(key, &upload).await.unwrap().unwrap(), []);
    // In any order, and once more after an interruption.
    assert_eq!(put(key, &upload, 2, b"the last".to_vec()).await, 200);
    assert_eq!(put(key, &upload, 1, vec![b'x'; PART]).await, 200);
    assert_eq!(put(key, &upload, 2, b"the end".to_vec()).await, 200);
    let parts = store.list_parts(key, &upload).await.unwrap().unwrap();
    assert_eq!(parts.iter().map(|part| (part.number, part.size)).collect::<Vec<_>>(), [(1, PART as u64), (2, 7)]);
    assert!(store.head(key).await.unwrap().is_none(), "nothing is there before it is completed");
    assert!(store.complete_upload(key, &upload, &parts).await.unwrap());
    assert_eq!(store.head(key).await.unwrap().unwrap().size, PART as u64 + 7);
    assert!(read(&store, key).await.ends_with(b"xthe end"));
    assert!(store.list_parts(key, &upload).await.unwrap().is_none(), "the upload is no more");

    let given_up = "uploads/one/given_up.csv";
    let upload = store.begin_upload(given_up).await.unwrap();
    assert_eq!(put(given_up, &upload, 1, b"half".to_vec()).await, 200);
    store.abort_upload(given_up, &upload).await.unwrap();
    store.abort_upload(given_up, &upload).await.unwrap();
    assert_eq!(put(given_up, &upload, 2, b"late".to_vec()).await, 404);
    assert!(!store.complete_upload(given_up, &upload, &parts).await.unwrap());
    assert!(store.head(given_up).await.unwrap().is_none());
}

#[tokio::test]
#[ignore = "needs the deployed stack: `cargo xtask test` runs it"]
async fn what_an_organization_leaves_behind_is_taken_away_and_nothing_of_another() {
    let stack = Stack::from_environment();
    let store = bucket(&stack).await;
    for n in 0..7 {
        store.put(&format!("uploads/one/{n}.csv"), b"email\n".to_vec()).await.unwrap();
    }
    // A name may hold what an XML has to escape.
    store.put("uploads/one/a & b <c>.csv", b"email\n".to_vec()).await.unwrap();
    store.put("uploads/other/0.csv", b"email\n".to_vec()).await.unwrap();
    assert_eq!(store.remove_under("uploads/one/").await.unwrap(), 8);
    assert_eq!(store.remove_under("uploads/one/").await.unwrap(), 0);
    assert!(store.head("uploads/one/0.csv").await.unwrap().is_none());
    assert_eq!(read(&store, "uploads/other/0.csv").await, b"email\n");
    // One that is gone already is taken away like one that is there.
    for _ in 0..2 {
        store.remove("uploads/other/0.csv").await.unwrap();
    }
    assert!(store.head("uploads/other/0.csv").await.unwrap().is_none());
}

#[tokio::test]
#[ignore = "needs the deployed stack: `cargo xtask test` runs it"]
async fn queues_tell_what_they_hold_and_one_that_is_none_is_not_known() {
    let stack = Stack::from_environment();
    let aws = aws(&stack);
    let sqs = aws_sdk_sqs::Client::new(&aws.config);
    let mut urls = Vec::new();
    for kind in ["queue", "dead-letters"] {
        let made = sqs.create_queue().queue_name(stack.unique(kind)).send().await.unwrap();
        urls.push(made.queue_url.unwrap());
    }
    for (url, body) in [(&urls[0], "one"), (&urls[0], "two"), (&urls[1], "given up")] {
        sqs.send_message().queue_url(url).message_body(body).send().await.unwrap();
    }
    sqs.send_message().queue_url(&urls[0]).message_body("later").delay_seconds(600).send().await.unwrap();
    let [queue, dead_letters] = [&urls[0], &urls[1]];
    let gone = format!("{queue}-that-is-none");
    let depths = SqsDepths::new(&aws, &format!("job={queue},job_dead_letters={dead_letters},gone={gone}")).unwrap();
    let [job, none] = depths.depths().await.try_into().unwrap();
    assert_eq!((job.name.as_str(), job.waiting, job.in_flight), ("job", Some(2), Some(0)));
    assert_eq!((job.delayed, job.dead_letters), (Some(1), Some(1)));
    assert_eq!((none.waiting, none.in_flight, none.delayed, none.dead_letters), (None, None, None, None));
}

#[tokio::test]
#[ignore = "needs the deployed stack: `cargo xtask test` runs it"]
async fn a_hint_that_failed_is_shown_again_before_its_time_is_up() {
    let stack = Stack::from_environment();
    let aws = aws(&stack);
    let sqs = aws_sdk_sqs::Client::new(&aws.config);
    let made = sqs.create_queue().queue_name(stack.unique("hints"));
    let made = made.attributes(QueueAttributeName::VisibilityTimeout, "1080").send().await.unwrap();
    let url = made.queue_url.unwrap();
    let receive = async || {
        let attributes = MessageSystemAttributeName::ApproximateReceiveCount;
        let asked = sqs.receive_message().queue_url(&url).message_system_attribute_names(attributes.clone());
        let received = asked.send().await.unwrap().messages.unwrap_or_default();
        let read =
            |message: Message| (message.attributes.unwrap()[&attributes].clone(), message.receipt_handle.unwrap());
        received.into_iter().map(read).collect::<Vec<_>>()
    };
    sqs.send_message().queue_url(&url).message_body("hint").send().await.unwrap();
    let first = receive().await;
    assert_eq!(first[0].0, "1");
    assert!(receive().await.is_empty(), "it is hidden for 18 minutes");
    let queue = SqsQueue::new(&aws, url.clone());
    queue.show_after(&first[0].1, Duration::ZERO).await.unwrap();
    let second = receive().await;
    assert_eq!(second[0].0, "2");
    queue.show_after(&second[0].1, Duration::from_secs(120)).await.unwrap();
    assert!(receive().await.is_empty(), "not yet");
    queue.show_after("no receipt", Duration::ZERO).await.unwrap_err();
}
