use std::net::Ipv4Addr;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, MX};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

use super::*;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// What the server of this test says of a name: a status and records.
fn zone(of: &str, kind: RecordType) -> Option<(ResponseCode, Vec<RData>)> {
    let none = || Some((ResponseCode::NoError, Vec::new()));
    match (of, kind) {
        ("mail.test.", RecordType::MX) => {
            let exchange = |n| RData::MX(MX::new(n, name(&format!("mx{n}.mail.test."))));
            Some((ResponseCode::NoError, vec![exchange(10), exchange(20)]))
        }
        ("xn--bcher-kva.test.", RecordType::MX) => {
            Some((ResponseCode::NoError, vec![RData::MX(MX::new(10, name("mx.mail.test.")))]))
        }
        ("null.test.", RecordType::MX) => Some((ResponseCode::NoError, vec![RData::MX(MX::new(0, Name::root()))])),
        ("host.test.", RecordType::A) => Some((ResponseCode::NoError, vec![RData::A(A(Ipv4Addr::new(192, 0, 2, 1)))])),
        ("host.test." | "nothing.test.", _) => none(),
        ("broken.test.", _) => Some((ResponseCode::ServFail, Vec::new())),
        ("refused.test.", _) => Some((ResponseCode::Refused, Vec::new())),
        ("silent.test.", _) => None,
        _ => Some((ResponseCode::NXDomain, Vec::new())),
    }
}

/// A DNS server on loopback, which lives as long as the test.
async fn server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut bytes = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
            let asked = Message::from_vec(&bytes[..length]).unwrap();
            let query = asked.queries[0].clone();
            let Some((code, answers)) = zone(&query.name().to_ascii().to_lowercase(), query.query_type()) else {
                continue;
            };
            let mut answer = Message::response(asked.metadata.id, asked.metadata.op_code);
            answer.metadata.response_code = code;
            answer.metadata.recursion_available = true;
            answer.add_query(query.clone());
            answer.add_answers(answers.into_iter().map(|data| Record::from_rdata(query.name().clone(), 300, data)));
            socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn dns_says_who_takes_the_mail_of_a_domain() {
    let exchanges = MailExchanges::of_server(server().await).unwrap();
    for (domain, host) in [
        ("mail.test", MailHost::Present),
        ("MAIL.test", MailHost::Present),
        ("xn--bcher-kva.test", MailHost::Present),
        // Without an MX record it is its own host.
        ("host.test", MailHost::Present),
        ("null.test", MailHost::NullMx),
        ("nothing.test", MailHost::Absent),
        ("nobody.test", MailHost::Absent),
        // Nobody can tell, which is not the same as that there is none.
        ("broken.test", MailHost::Unknown),
        ("refused.test", MailHost::Unknown),
        ("silent.test", MailHost::Unknown),
    ] {
        assert_eq!(exchanges.look_up(domain).await, host, "{domain}");
    }
}
