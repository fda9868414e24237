//! The deployment of template.yaml, which goes to the emulator unchanged but for where the code is:
//! what `aws cloudformation package` does for AWS.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::aws::{Aws, Outputs};
use super::database::Login;
use super::emulator::CODE_BUCKET;
use super::package::{Architecture, Packaged};

/// The name of the stack.
const STACK: &str = "martlet";
/// The domain of the reply addresses; mails to it reach nobody but the stand-in.
const REPLY_DOMAIN: &str = "reply.example.com";
/// How the template begins to name a function's zip.
const LOCAL_CODE: &str = "CodeUri: .local/package/";

/// Deploys the template and returns its outputs.
pub(crate) async fn deploy(
    aws: &Aws,
    template: &Path,
    functions: &[Packaged],
    database: &Login,
    emulator_url: &str,
    postbox_url: &str,
) -> Result<Outputs> {
    let text = fs::read_to_string(template).with_context(|| format!("can't read {}", template.display()))?;
    let login = json!({"username": database.user, "password": database.password});
    let owner_secret = aws.create_secret("martlet-database-owner", &login).await?;
    let parameters = [
        ("DatabaseHost", database.host.as_str()),
        ("DatabasePort", &database.port.to_string()),
        ("DatabaseName", &database.database),
        ("DatabaseTls", "disable"),
        ("DatabaseOwnerSecretArn", &owner_secret),
        ("ReplyDomain", REPLY_DOMAIN),
        ("LocalStack", "1"),
        ("AwsEndpointUrl", emulator_url),
        ("SesEndpointUrl", postbox_url),
        ("Architecture", Architecture::of_this_machine().name()),
    ];
    aws.create_stack(STACK, &with_code_in_bucket(&text, functions)?, &parameters).await
}

/// The deployed name of a function, from the name of its binary.
pub(crate) fn function_name<'a>(outputs: &'a Outputs, binary: &str) -> Result<&'a str> {
    let known = || {
        let names = outputs.keys().filter_map(|key| key.strip_suffix("FunctionName"));
        names.map(snake_case).collect::<Vec<_>>().join(", ")
    };
    let name = outputs.get(&format!("{}FunctionName", pascal_case(binary)));
    name.map(String::as_str).with_context(|| format!("there is no function `{binary}`; there are {}", known()))
}

/// Points every function at its zip in the bucket.
///
/// # Errors
///
/// Names a zip that is not among the functions': the emulator would put a function of its own in its place.
fn with_code_in_bucket(template: &str, functions: &[Packaged]) -> Result<String> {
    let named = template.lines().filter_map(|line| line.trim().strip_prefix(LOCAL_CODE)?.strip_suffix(".zip"));
    let missing: Vec<_> = named.filter(|name| functions.iter().all(|function| function.name != *name)).collect();
    if !missing.is_empty() {
        bail!("the template has functions whose binaries are not in functions/src/bin: {}", missing.join(", "));
    }
    Ok(template.replace(LOCAL_CODE, &format!("CodeUri: s3://{CODE_BUCKET}/")))
}

/// `JobRunner` of `job_runner`.
fn pascal_case(name: &str) -> String {
    let capitalized = |word: &str| {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    };
    name.split('_').map(capitalized).collect()
}

/// `job_runner` of `JobRunner`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_found_by_its_binary() {
        let outputs = Outputs::from([
            ("JobRunnerFunctionName".into(), "martlet-JobRunner-1".into()),
            ("SenderFunctionName".into(), "martlet-Sender-1".into()),
            ("ApiUrl".into(), "http://x".into()),
        ]);
        assert_eq!(function_name(&outputs, "job_runner").unwrap(), "martlet-JobRunner-1");
        let error = function_name(&outputs, "sendr").unwrap_err().to_string();
        assert_eq!(error, "there is no function `sendr`; there are job_runner, sender");
    }

    #[test]
    fn only_the_place_of_the_code_changes() {
        let template = "A:\n  CodeUri: .local/package/contacts.zip\n  Other: .local/package\n";
        let expected = "A:\n  CodeUri: s3://martlet-code/contacts.zip\n  Other: .local/package\n";
        let contacts = Packaged { name: "contacts".into(), zip: "contacts.zip".into(), size: 1 };
        assert_eq!(with_code_in_bucket(template, &[contacts]).unwrap(), expected);
        assert!(with_code_in_bucket(template, &[]).unwrap_err().to_string().ends_with("functions/src/bin: contacts"));
    }
}
