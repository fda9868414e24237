//! A topic of ours, and what follows from its name: where SNS keeps its certificates and confirms its subscriptions.

use shared::{Error, Result};

/// A topic by its ARN.
#[derive(Debug, Clone)]
pub struct Topic {
    arn: String,
    host: String,
    names: Vec<String>,
}

impl Topic {
    /// Reads an ARN, as `arn:aws:sns:eu-central-1:000000000000:name`.
    ///
    /// Errors: [`Error::Internal`] for what is no topic, or in a partition whose hosts we don't know.
    pub fn parse(arn: &str) -> Result<Self> {
        let parts: Vec<&str> = arn.split(':').collect();
        let &["arn", partition, "sns", region, account, name] = parts.as_slice() else {
            return Err(Error::internal("that is no ARN of a topic"));
        };
        let suffix = match partition {
            "aws" | "aws-us-gov" => "amazonaws.com",
            "aws-cn" => "amazonaws.com.cn",
            _ => return Err(Error::internal("the hosts of SNS are not known in the partition of the topic")),
        };
        let is_region = region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if region.is_empty() || name.is_empty() || !is_region || !is_account || !is_name {
            return Err(Error::internal("that is no ARN of a topic"));
        }
        // As the certificates have them: most regions share the first name, those that an account opts into have the
        // third, China's the last, and both of GovCloud that of the western one.
        let mut names = vec![
            format!("sns.{suffix}"),
            format!("sns.{region}.{suffix}"),
            format!("sns-signing.{region}.{suffix}"),
            format!("sns-{region}.{suffix}"),
        ];
        if partition == "aws-us-gov" {
            names.push(format!("sns-us-gov-west-1.{suffix}"));
        }
        Ok(Self { arn: arn.to_owned(), host: format!("sns.{region}.{suffix}"), names })
    }

    /// The whole ARN.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// To whom the certificate of this topic's notifications may be made out.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether SNS keeps a certificate there: in the topic's region, under the one form of name that it gives them.
    ///
    /// Compared as text: of an address that equals what it should be nothing is left to be parsed in another way.
    #[must_use]
    pub fn keeps_certificate(&self, url: &str) -> bool {
        let hex = url
            .strip_prefix("https://")
            .and_then(|rest| rest.strip_prefix(self.host.as_str()))
            .and_then(|rest| rest.strip_prefix("/SimpleNotificationService-"))
            .and_then(|rest| rest.strip_suffix(".pem"));
        hex.is_some_and(|hex| {
            (1..=64).contains(&hex.len()) && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
    }

    /// Whether that address confirms a subscription of this topic with this token, and does nothing else.
    #[must_use]
    pub fn is_confirmation(&self, url: &str, token: &str) -> bool {
        let query = url
            .strip_prefix("https://")
            .and_then(|rest| rest.strip_prefix(self.host.as_str()))
            .and_then(|rest| rest.strip_prefix("/?"));
        let Some(query) = query else { return false };
        let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let mut said: Vec<&str> = query.split('&').collect();
        said.sort_unstable();
        let (topic, token) = (format!("TopicArn={}", self.arn), format!("Token={token}"));
        is_token && said == ["Action=ConfirmSubscription", &token, &topic]
    }
}

#[cfg(test)]
mod tests {
    use super::Topic;

    const ARN: &str = "arn:aws:sns:eu-central-1:000000000000:stack-FeedbackTopic-1A";
    const HOST: &str = "https://sns.eu-central-1.amazonaws.com";

    #[test]
    fn the_signing_cert_url_is_on_the_exact_host_of_the_region() {
        let topic = Topic::parse(ARN).unwrap();
        let name = "SimpleNotificationService-0123456789abcdef0123456789abcdef.pem";
        assert!(topic.keeps_certificate(&format!("{HOST}/{name}")));
        for url in [
            format!("http://sns.eu-central-1.amazonaws.com/{name}"),
            format!("HTTPS://sns.eu-central-1.amazonaws.com/{name}"),
            format!("https://SNS.eu-central-1.amazonaws.com/{name}"),
            format!("https://sns.eu-central-1.amazonaws.com./{name}"),
            format!("https://sns.eu-central-1.amazonaws.com:443/{name}"),
            format!("https://sns.eu-central-1.amazonaws.com@evil.test/{name}"),
            format!("https://evil@sns.eu-central-1.amazonaws.com/{name}"),
            format!("https://sns.eu-central-1.amazonaws.com.evil.test/{name}"),
            format!("https://evil.test/sns.eu-central-1.amazonaws.com/{name}"),
            format!("https://evil.test#sns.eu-central-1.amazonaws.com/{name}"),
            format!("https://evil.test\\@sns.eu-central-1.amazonaws.com/{name}"),
            // Names that the published patterns admit and that anybody can have: a bucket, an API.
            format!("https://sns.s3-us-west-2.amazonaws.com/{name}"),
            format!("https://sns.execute-api.us-east-1.amazonaws.com/{name}"),
            format!("https://sns.us-east-1.amazonaws.com/{name}"),
            format!("https://sns.amazonaws.com/{name}"),
            format!("https://sns.eu-central-1.amazonaws.com.cn/{name}"),
            format!("{HOST}//{name}"),
            format!("{HOST}/../{name}"),
            format!("{HOST}/x/{name}"),
            format!("{HOST}/%2e/{name}"),
            format!("{HOST}/{name}?x=1"),
            format!("{HOST}/{name}#x"),
            format!("{HOST}/{name} "),
            format!(" {HOST}/{name}"),
            format!("{HOST}/SimpleNotificationService-.pem"),
            format!("{HOST}/SimpleNotificationService-0g.pem"),
            format!("{HOST}/SimpleNotificationService-AB.pem"),
            format!("{HOST}/SimpleNotificationService-../01.pem"),
            format!("{HOST}/SimpleNotificationService-{}.pem", "0".repeat(65)),
            format!("{HOST}/simplenotificationservice-01.pem"),
            format!("{HOST}/SimpleNotificationService-01.pem.exe"),
            String::new(),
        ] {
            assert!(!topic.keeps_certificate(&url), "{url}");
        }
    }

    #[test]
    fn a_confirmation_is_of_this_topic_on_this_host_with_this_token_and_nothing_else() {
        let topic = Topic::parse(ARN).unwrap();
        assert!(
            topic.is_confirmation(&format!("{HOST}/?Action=ConfirmSubscription&TopicArn={ARN}&Token=2336ab"), "2336ab")
        );
        assert!(
            topic.is_confirmation(&format!("{HOST}/?TopicArn={ARN}&Token=2336ab&Action=ConfirmSubscription"), "2336ab")
        );
        let other = ARN.replace("1A", "2B");
        for (url, token) in [
            (format!("{HOST}/?Action=Unsubscribe&TopicArn={ARN}&Token=2336ab"), "2336ab"),
            (format!("{HOST}/?Action=ConfirmSubscription&TopicArn={other}&Token=2336ab"), "2336ab"),
            (format!("{HOST}/?Action=ConfirmSubscription&TopicArn={ARN}&Token=2336ab"), "2336cd"),
            (format!("{HOST}/?Action=ConfirmSubscription&TopicArn={ARN}&Token="), ""),
            (format!("{HOST}/?Action=ConfirmSubscription&TopicArn={ARN}&Token=a%26b"), "a%26b"),
            (format!("{HOST}/?Action=ConfirmSubscription&Action=Publish&TopicArn={ARN}&Token=2336ab"), "2336ab"),
            (format!("{HOST}/x?Action=ConfirmSubscription&TopicArn={ARN}&Token=2336ab"), "2336ab"),
            (format!("{HOST}:8443/?Action=ConfirmSubscription&TopicArn={ARN}&Token=2336ab"), "2336ab"),
            (format!("https://evil.test/?Action=ConfirmSubscription&TopicArn={ARN}&Token=2336ab"), "2336ab"),
            (
                format!(
                    "http://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={ARN}&Token=2336ab"
                ),
                "2336ab",
            ),
        ] {
            assert!(!topic.is_confirmation(&url, token), "{url}");
        }
    }

    #[test]
    fn each_partition_has_its_hosts_and_names() {
        let beijing = Topic::parse("arn:aws-cn:sns:cn-north-1:000000000000:t").unwrap();
        assert!(beijing.keeps_certificate("https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-01.pem"));
        assert!(!beijing.keeps_certificate("https://sns.cn-north-1.amazonaws.com/SimpleNotificationService-01.pem"));
        assert!(beijing.names().contains(&"sns-cn-north-1.amazonaws.com.cn".to_owned()));
        let east = Topic::parse("arn:aws-us-gov:sns:us-gov-east-1:000000000000:t").unwrap();
        assert!(east.keeps_certificate("https://sns.us-gov-east-1.amazonaws.com/SimpleNotificationService-01.pem"));
        assert!(east.names().contains(&"sns-us-gov-west-1.amazonaws.com".to_owned()));
        for arn in [
            "",
            "arn:aws-iso:sns:us-iso-east-1:000000000000:t",
            "arn:aws:sqs:eu-central-1:000000000000:t",
            "arn:aws:sns:eu.central:000000000000:t",
            "arn:aws:sns::000000000000:t",
            "arn:aws:sns:eu-central-1:1:t",
            "arn:aws:sns:eu-central-1:000000000000:",
            "arn:aws:sns:eu-central-1:000000000000:t&Action=Publish",
            "arn:aws:sns:eu-central-1:000000000000:t:subscription",
        ] {
            assert!(Topic::parse(arn).is_err(), "{arn}");
        }
    }
}
