//! CloudFormation, whose answers are XML of a few known elements.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Aws, send};
use crate::local::emulator::CODE_BUCKET;

/// The outputs of a deployed template, by their keys.
pub(crate) type Outputs = BTreeMap<String, String>;

/// The longest that a deployment may take; the emulator needs a second.
const DEPLOYS_WITHIN: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);
/// How many of the failed resources an error names: the first ones caused the others.
const FAILURES_SHOWN: usize = 5;

impl Aws {
    /// Deploys a template and waits for its outputs.
    ///
    /// # Errors
    ///
    /// Names the resources that failed.
    pub(crate) async fn create_stack(
        &self,
        name: &str,
        template: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Outputs> {
        // CloudFormation takes 51,200 bytes in a request, and what is larger from a bucket.
        let template_url = format!("{}/{CODE_BUCKET}/template.yaml", self.endpoint);
        self.http.put(&template_url).body(template.to_owned()).send().await?.error_for_status()?;
        let mut fields = vec![
            ("StackName".to_owned(), name),
            ("TemplateURL".to_owned(), template_url.as_str()),
            ("Capabilities.member.1".to_owned(), "CAPABILITY_IAM"),
            ("Capabilities.member.2".to_owned(), "CAPABILITY_AUTO_EXPAND"),
        ];
        for (index, (key, value)) in parameters.iter().enumerate() {
            let number = index + 1;
            fields.push((format!("Parameters.member.{number}.ParameterKey"), key));
            fields.push((format!("Parameters.member.{number}.ParameterValue"), value));
        }
        self.cloudformation("CreateStack", fields).await?;
        self.wait_for_stack(name).await
    }

    async fn wait_for_stack(&self, name: &str) -> Result<Outputs> {
        let began = Instant::now();
        loop {
            let answer = self.cloudformation("DescribeStacks", vec![("StackName".into(), name)]).await?;
            let status = element(&answer, "StackStatus").context("the answer to DescribeStacks has no status")?;
            if status == "CREATE_COMPLETE" {
                return Ok(outputs(&answer));
            }
            if !status.ends_with("_IN_PROGRESS") {
                let reason = element(&answer, "StackStatusReason").unwrap_or_default();
                let events = self.cloudformation("DescribeStackEvents", vec![("StackName".into(), name)]).await?;
                bail!("the deployment ended as {status}. {reason}\n{}", failures(&events).join("\n"));
            }
            if began.elapsed() > DEPLOYS_WITHIN {
                bail!("the deployment is still {status} after {} s", DEPLOYS_WITHIN.as_secs());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn cloudformation(&self, action: &str, mut fields: Vec<(String, &str)>) -> Result<String> {
        fields.extend([("Action".into(), action), ("Version".into(), "2010-05-15")]);
        Ok(send(action, self.http.post(&self.endpoint).form(&fields)).await?.text().await?)
    }
}

/// Reads the outputs of a DescribeStacks answer.
fn outputs(xml: &str) -> Outputs {
    let output = |part: &str| Some((element(part, "OutputKey")?, element(part, "OutputValue")?));
    xml.split("<member>").filter_map(output).collect()
}

/// What failed and why, oldest first, from a DescribeStackEvents answer, which has the newest first.
fn failures(xml: &str) -> Vec<String> {
    let failure = |part: &str| {
        let status = element(part, "ResourceStatus")?;
        let reason = element(part, "ResourceStatusReason").unwrap_or_default();
        let resource = element(part, "LogicalResourceId")?;
        status.ends_with("_FAILED").then(|| format!("  {resource}: {reason}"))
    };
    let failures: Vec<_> = xml.split("<member>").filter_map(failure).collect();
    failures.into_iter().rev().take(FAILURES_SHOWN).collect()
}

/// The text of the first element with this name.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(unescaped(text.trim()))
}

fn unescaped(text: &str) -> String {
    // The ampersand comes last: `&amp;lt;` means `&lt;`.
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&apos;", "'"), ("&amp;", "&")]
        .into_iter()
        .fold(text.into(), |text: String, (escape, character)| text.replace(escape, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read_with_their_escapes() {
        let xml = "<Stacks><member><StackStatus>CREATE_COMPLETE</StackStatus><Outputs>\
            <member><OutputKey>ApiUrl</OutputKey><OutputValue>http://x/?a=1&amp;b=2</OutputValue></member>\
            <member>\n <OutputKey>Empty</OutputKey>\n <OutputValue></OutputValue></member>\
            </Outputs></member></Stacks>";
        let expected = [("ApiUrl", "http://x/?a=1&b=2"), ("Empty", "")];
        assert_eq!(outputs(xml), expected.map(|(key, value)| (key.into(), value.into())).into());
    }

    #[test]
    fn the_first_failure_comes_first() {
        let event = |resource: &str, status: &str| {
            format!(
                "<member><LogicalResourceId>{resource}</LogicalResourceId><ResourceStatus>{status}</ResourceStatus>\
                 <ResourceStatusReason>why</ResourceStatusReason></member>"
            )
        };
        let xml =
            event("Later", "CREATE_FAILED") + &event("Good", "CREATE_COMPLETE") + &event("First", "CREATE_FAILED");
        assert_eq!(failures(&xml), ["  First: why", "  Later: why"]);
    }

    #[test]
    fn an_escaped_escape_stays_one() {
        assert_eq!(unescaped("&amp;lt; &lt;"), "&lt; <");
    }
}
