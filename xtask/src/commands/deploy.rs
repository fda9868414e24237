//! `cargo xtask deploy`: brings template.yaml and the functions to AWS, by the AWS CLI.
//!
//! The database is migrated before the new code takes traffic. A new stack has no traffic yet: it is made with the tick
//! off, and migrated. One that is there gets the new release's migrate function first, then the schema, then everything.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::Command;

use super::{lint, package};
use crate::local::package::{self as packages, Architecture};
use crate::local::places::{Places, make_folder};
use crate::local::processes;
use crate::local::template::{LARGEST_BODY, Parameter, Template};
use crate::local::tools::Tools;
use crate::say;

/// Stands for the bucket in a dry run that names none.
const SOME_BUCKET: &str = "YOUR-BUCKET";
/// Where the event is that brings the database to a release. A file, since versions of the CLI read text in two ways.
const MIGRATE_EVENT: &str = "events/migrate/migrate.json";
/// The function that migrates, as the template puts it out.
const MIGRATE_OUTPUT: &str = "MigrateFunctionName";
/// The parameter that this command sets itself.
const ARCHITECTURE: &str = "Architecture";
/// The parameter that turns the tick on.
const TICK: &str = "SchedulerState";

/// How to deploy.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Prints what would be run, and runs nothing on AWS.
    pub(crate) dry_run: bool,
    /// Takes the zips that are there.
    pub(crate) packaged: bool,
    /// The processor of the functions.
    pub(crate) architecture: Architecture,
    /// The name of the stack.
    pub(crate) stack: String,
    /// The bucket for the code; it must exist.
    pub(crate) bucket: Option<String>,
    /// Parameters of the template.
    pub(crate) parameters: Vec<Given>,
}

/// A parameter's value, written as `ReplyDomain=reply.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    name: String,
    value: String,
}

impl std::str::FromStr for Given {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, value) = text.split_once('=').context("write Name=value")?;
        Ok(Self { name: name.into(), value: value.into() })
    }
}

/// Checks everything that can be checked here, then deploys, or shows how.
///
/// # Errors
///
/// Fails at the first step that does, and runs none after it. Each can be run again.
pub(crate) async fn deploy(places: &Places, options: Options) -> Result<ExitCode> {
    if lint::lint(places).await? != ExitCode::SUCCESS {
        return Ok(ExitCode::FAILURE);
    }
    let template = Template::read(places, &Tools::ensure(places).await?).await?;
    check_parameters(&template.parameters, &options.parameters)?;
    if !options.packaged {
        package::package(places, options.architecture).await?;
    }
    let missing = template.missing_code(places.checkout());
    if !missing.is_empty() {
        bail!("the template names zips that are not there: {}; `cargo xtask package` makes them", missing.join(", "));
    }
    let others = packages::not_built_for(&places.package(), options.architecture)?;
    show(places, &template, &options)?;
    if options.dry_run {
        for zip in others {
            say::note(format_args!("warning: {zip} is no release build for {}", options.architecture.name()));
        }
        say::answer(script(places, &options));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(zip) = others.first() {
        bail!("{zip} is no release build for {}; leave out --packaged", options.architecture.name());
    }
    let bucket =
        options.bucket.clone().context("name the bucket for the code: --bucket NAME (`aws s3 mb s3://NAME`)")?;
    let cli = Cli { program: "aws".into(), places };
    cli.deploy(&Plan::new(places, &options, &bucket), &template.parameters, &options.parameters).await
}

/// Every parameter is one of the template's, and has a value that it takes.
fn check_parameters(known: &[Parameter], given: &[Given]) -> Result<()> {
    for Given { name, value } in given {
        let Some(parameter) = known.iter().find(|parameter| parameter.name == *name) else {
            let names: Vec<_> = known.iter().map(|parameter| parameter.name.as_str()).collect();
            bail!("the template has no parameter {name}; it has {}", names.join(", "));
        };
        if !parameter.allowed.is_empty() && !parameter.allowed.contains(value) {
            bail!("{name} is one of {}, not {value}", parameter.allowed.join(", "));
        }
    }
    Ok(())
}

/// The parameters that a new stack can't do without.
fn missing<'a>(known: &'a [Parameter], given: &[Given]) -> Vec<&'a Parameter> {
    known.iter().filter(|one| one.required && given.iter().all(|other| other.name != one.name)).collect()
}

fn show(places: &Places, template: &Template, options: &Options) -> Result<()> {
    let body = fs::metadata(places.template())?.len();
    let mut zips = 0;
    for zip in &template.code {
        zips += fs::metadata(places.checkout().join(zip))?.len();
    }
    let way = if body > LARGEST_BODY { "through S3 only" } else { "in a request" };
    say::answer(format_args!("functions   {} with {zips} bytes of code", template.code.len()));
    say::answer(format_args!("template    {body} bytes, which fits {way}; {} resources", template.resources));
    say::answer("parameters");
    for Parameter { name, required, description, .. } in &template.parameters {
        let given = options.parameters.iter().find(|given| given.name == *name);
        match given {
            Some(given) => say::answer(format_args!("  {name} = {}", given.value)),
            None if *required => say::answer(format_args!("  {name} is missing (a new stack needs it). {description}")),
            None => {}
        }
    }
    Ok(())
}

/// The commands, each without the name of the program.
#[derive(Debug)]
struct Plan {
    /// Uploads the code, and writes a template that names it there.
    package: Vec<String>,
    /// Makes or updates the stack.
    deploy: Vec<String>,
    /// Tells the name of the migrate function, or `None`.
    find_migrate: Vec<String>,
    /// Puts the new release's code into it alone; its name follows.
    update_migrate: Vec<String>,
    /// Waits until that is done; its name follows.
    wait: Vec<String>,
    /// Runs it; its name follows.
    migrate: Vec<String>,
    /// Where its answer is.
    answer: PathBuf,
}

impl Plan {
    fn new(places: &Places, options: &Options, bucket: &str) -> Self {
        let Options { stack, architecture, parameters, .. } = options;
        let folder = Path::new(".local/deploy");
        let packaged = folder.join("template.yaml").display().to_string();
        let answer = folder.join("migrate.json");
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut deploy = words(&format!(
            "cloudformation deploy --template-file {packaged} --stack-name {stack} --s3-bucket {bucket} --s3-prefix {stack} \
             --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --no-fail-on-empty-changeset --parameter-overrides \
             {ARCHITECTURE}={}",
            architecture.name()
        ));
        deploy.extend(parameters.iter().map(|Given { name, value }| format!("{name}={value}")));
        let mut find_migrate =
            words(&format!("cloudformation describe-stacks --stack-name {stack} --output text --query"));
        find_migrate.push(format!("Stacks[0].Outputs[?OutputKey=='{MIGRATE_OUTPUT}'].OutputValue | [0]"));
        Self {
            package: words(&format!(
                "cloudformation package --template-file template.yaml --s3-bucket {bucket} --s3-prefix {stack} \
                 --output-template-file {packaged}"
            )),
            deploy,
            find_migrate,
            update_migrate: words(&format!(
                "lambda update-function-code --zip-file fileb://.local/package/migrate.zip --architectures {} --output text \
                 --query CodeSha256 --function-name",
                architecture.name()
            )),
            wait: words("lambda wait function-updated --function-name"),
            // Indexes on large tables take their time, and asking again does not make it shorter.
            migrate: words(&format!(
                "lambda invoke --payload fileb://{MIGRATE_EVENT} --cli-read-timeout 900 {} --function-name",
                answer.display()
            )),
            answer: places.checkout().join(answer),
        }
    }
}

/// The commands as they would be typed: for a stack that is there, and for a new one.
fn script(places: &Places, options: &Options) -> String {
    let plan = Plan::new(places, options, options.bucket.as_deref().unwrap_or(SOME_BUCKET));
    let line = |words: &[String]| {
        let quoted: Vec<_> = words.iter().map(|word| quoted(word)).collect();
        format!("aws {}", quoted.join(" "))
    };
    let on_migrate = |words: &[String]| format!("{} \"$MIGRATE\"", line(words));
    let mut text = String::new();
    let mut add = |line: String| writeln!(text, "{line}").unwrap_or_default();
    add("mkdir -p .local/deploy".into());
    add("\n# A new stack, with the tick off until you turn it on".into());
    add(line(&plan.package));
    let mut deploy = plan.deploy.clone();
    if !sets_tick(&options.parameters) {
        deploy.push(format!("{TICK}=DISABLED"));
    }
    add(line(&deploy));
    add(format!("MIGRATE=$({})", line(&plan.find_migrate)));
    add(on_migrate(&plan.migrate));
    add("\n# A stack that is there: its schema first, then its code".into());
    add(line(&plan.package));
    add(format!("MIGRATE=$({})", line(&plan.find_migrate)));
    for words in [&plan.update_migrate, &plan.wait, &plan.migrate] {
        add(on_migrate(words));
    }
    add(line(&plan.deploy));
    add(on_migrate(&plan.migrate));
    text.trim_end().to_owned()
}

fn sets_tick(given: &[Given]) -> bool {
    given.iter().any(|given| given.name == TICK)
}

/// A word as the shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@,+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The AWS CLI, with the credentials, region and endpoint of the environment.
struct Cli<'a> {
    program: PathBuf,
    places: &'a Places,
}

impl Cli<'_> {
    async fn deploy(&self, plan: &Plan, known: &[Parameter], given: &[Given]) -> Result<ExitCode> {
        self.is_installed().await?;
        if let Some(folder) = plan.answer.parent() {
            make_folder(folder)?;
        }
        match self.migrate_function(plan).await? {
            Some(name) => {
                self.run("Uploading the code", &plan.package).await?;
                for (what, words) in
                    [("Updating the migrate function", &plan.update_migrate), ("Waiting for it", &plan.wait)]
                {
                    self.run_on(what, words, &name).await?;
                }
                self.migrate(plan, &name).await?;
                self.run("Deploying the stack", &plan.deploy).await?;
                // A role that came with this release has its secret only now.
                let answer = self.migrate(plan, &name).await?;
                check_roles(&answer)?;
            }
            None => {
                let missing: Vec<_> = missing(known, given).iter().map(|parameter| parameter.name.clone()).collect();
                if !missing.is_empty() {
                    bail!("a new stack needs values for {}: give them as Name=value", missing.join(", "));
                }
                self.run("Uploading the code", &plan.package).await?;
                let mut deploy = plan.deploy.clone();
                if !sets_tick(given) {
                    deploy.push(format!("{TICK}=DISABLED"));
                }
                self.run("Deploying the stack", &deploy).await?;
                let name = self.migrate_function(plan).await?.context("the stack that was just made is not there")?;
                let answer = self.migrate(plan, &name).await?;
                check_roles(&answer)?;
                if !sets_tick(given) {
                    say::note(format_args!("The tick is off. Deploy with {TICK}=ENABLED when mail may leave."));
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn is_installed(&self) -> Result<()> {
        let found = Command::new(&self.program).current_dir(self.places.checkout()).arg("--version").output().await;
        if !found.is_ok_and(|output| output.status.success()) {
            bail!(
                "the AWS CLI is not installed (https://aws.amazon.com/cli/); `cargo xtask deploy --dry-run` prints the \
                 commands, to be run where it is"
            );
        }
        Ok(())
    }

    /// The name of the deployed migrate function; nothing where there is no such stack yet.
    ///
    /// # Errors
    ///
    /// Fails where AWS can't be asked: a stack that is there must not be taken for a new one.
    async fn migrate_function(&self, plan: &Plan) -> Result<Option<String>> {
        let output = self.command(&plan.find_migrate).output().await.context("can't run the AWS CLI")?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            if words.contains("does not exist") {
                return Ok(None);
            }
            bail!("can't look for the stack: {}", words.trim());
        }
        let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if name.is_empty() || name == "None" {
            bail!(
                "there is a stack of this name without a migrate function; if its creation has failed, delete it first"
            );
        }
        Ok(Some(name))
    }

    /// Runs the migrate function and returns its answer.
    async fn migrate(&self, plan: &Plan, name: &str) -> Result<Value> {
        let mut words = plan.migrate.clone();
        words.push(name.into());
        let told = say::step("Migrating the database", async {
            processes::output(self.places, "the invocation of migrate", &mut self.command(&words)).await
        });
        let told: Value = serde_json::from_slice(&told.await?).context("the AWS CLI did not answer with JSON")?;
        let answer = fs::read_to_string(&plan.answer).context("the AWS CLI wrote no answer")?;
        if told.get("FunctionError").is_some() {
            bail!("the migration failed, and nothing after it was run: {answer}");
        }
        say::note(format_args!("  {answer}"));
        Ok(serde_json::from_str(&answer)?)
    }

    async fn run_on(&self, what: &str, words: &[String], name: &str) -> Result<()> {
        let mut words = words.to_vec();
        words.push(name.into());
        self.run(what, &words).await
    }

    async fn run(&self, what: &str, words: &[String]) -> Result<()> {
        say::step(what, async {
            let status = processes::run(self.places, what, self.command(words).stdout(std::io::stderr())).await?;
            if !status.success() {
                bail!("{what} failed; the AWS CLI's words are above");
            }
            Ok(())
        })
        .await
    }

    fn command(&self, words: &[String]) -> Command {
        let mut command = Command::new(&self.program);
        // Without a pager, which would wait for a key.
        command.args(words).current_dir(self.places.checkout()).env("AWS_PAGER", "").env("AWS_MAX_ATTEMPTS", "1");
        command
    }
}

/// Every role that a function logs in as has a password now.
fn check_roles(answer: &Value) -> Result<()> {
    match answer["roles_without_password"].as_array() {
        Some(roles) if roles.is_empty() => Ok(()),
        _ => bail!("not every role of the database has a password: {answer}"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn options(parameters: &[&str]) -> Options {
        Options {
            dry_run: true,
            packaged: true,
            architecture: Architecture::Arm64,
            stack: "martlet".into(),
            bucket: None,
            parameters: parameters.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn parameter(name: &str, required: bool, allowed: &[&str]) -> Parameter {
        let allowed = allowed.iter().map(ToString::to_string).collect();
        Parameter { name: name.into(), required, allowed, description: String::new() }
    }

    fn known() -> Vec<Parameter> {
        vec![parameter("ReplyDomain", true, &[]), parameter(TICK, false, &["ENABLED", "DISABLED"])]
    }

    #[test]
    fn parameters_are_the_templates_own() {
        let check = |text: &str| check_parameters(&known(), &options(&[text]).parameters);
        check("ReplyDomain=reply.example.com").unwrap();
        check("SchedulerState=ENABLED").unwrap();
        assert!(check("ReplyDomian=x").unwrap_err().to_string().ends_with("it has ReplyDomain, SchedulerState"));
        assert!(check("SchedulerState=enabled").unwrap_err().to_string().contains("ENABLED, DISABLED, not enabled"));
        assert_eq!(missing(&known(), &[])[0].name, "ReplyDomain");
        assert!("ReplyDomain".parse::<Given>().is_err());
    }

    #[test]
    fn the_dry_run_prints_commands_that_a_shell_reads() {
        let text = script(&Places::of("/checkout".into()), &options(&["ReplyDomain=a b"]));
        assert!(text.contains("--s3-bucket YOUR-BUCKET"), "{text}");
        assert!(text.contains("'ReplyDomain=a b' SchedulerState=DISABLED\n"), "{text}");
        assert!(text.contains("Architecture=arm64 'ReplyDomain=a b'\n"), "{text}");
        let position = |part: &str| text.rfind(part).unwrap();
        assert!(position("update-function-code") < position("cloudformation deploy"), "the schema comes first: {text}");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    const THERE: &str = "the stack is there";
    const NEW: &str = "there is no stack";
    const NOBODY_KNOWS: &str = "AWS does not answer";

    /// A program in the place of the AWS CLI that writes down what it was asked and answers as it does.
    fn stand_in(folder: &Path, found: &str, migration: &str) -> PathBuf {
        let program = folder.join("aws");
        let found = if found == THERE {
            "echo migrate-1"
        } else if found == NOBODY_KNOWS {
            "echo expired >&2; exit 255"
        } else {
            "[ -e made ] && echo migrate-1 || { echo 'Stack with id martlet does not exist' >&2; exit 254; }"
        };
        let text = format!(
            "#!/bin/sh\n\
             echo \"$@\" >> calls\n\
             case \"$*\" in\n\
             *describe-stacks*) {found};;\n\
             *'cloudformation deploy'*) touch made;;\n\
             *'lambda invoke'*) {migration};;\n\
             esac\n"
        );
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    const MIGRATED: &str = r#"echo '{"migrations_applied":[],"roles_without_password":[]}' > .local/deploy/migrate.json; echo '{"StatusCode":200}'"#;
    const FAILED: &str = r#"echo '{"errorMessage":"no"}' > .local/deploy/migrate.json; echo '{"StatusCode":200,"FunctionError":"Unhandled"}'"#;

    /// Deploys with a program of its own; returns the outcome and the first two words of every call but the version's.
    async fn run(name: &str, found: &str, migration: &str, parameters: &[&str]) -> (Result<ExitCode>, Vec<String>) {
        let folder = std::env::temp_dir().join(format!("martlet-deploy-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let places = Places::of(folder.clone());
        let options = options(parameters);
        let cli = Cli { program: stand_in(&folder, found, migration), places: &places };
        let plan = Plan::new(&places, &options, "bucket");
        // The program is looked for where it runs.
        let outcome = cli.deploy(&plan, &known(), &options.parameters).await;
        let calls = fs::read_to_string(folder.join("calls")).unwrap_or_default();
        let calls = calls.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
        let calls = calls.filter(|call| call != "--version").collect();
        fs::remove_dir_all(&folder).unwrap();
        (outcome, calls)
    }

    #[tokio::test]
    async fn a_new_stack_is_made_and_then_migrated() {
        let (outcome, calls) = run("new", NEW, MIGRATED, &["ReplyDomain=reply.example.com"]).await;
        outcome.unwrap();
        let expected = [
            "cloudformation describe-stacks",
            "cloudformation package",
            "cloudformation deploy",
            "cloudformation describe-stacks",
            "lambda invoke",
        ];
        assert_eq!(calls, expected);
    }

    #[tokio::test]
    async fn a_new_stack_without_its_parameters_is_not_begun() {
        let (outcome, calls) = run("missing", NEW, MIGRATED, &[]).await;
        assert!(outcome.unwrap_err().to_string().contains("ReplyDomain"));
        assert_eq!(calls, ["cloudformation describe-stacks"]);
    }

    #[tokio::test]
    async fn a_stack_that_is_there_is_migrated_by_the_new_code_before_it_is_updated() {
        let (outcome, calls) = run("update", THERE, MIGRATED, &[]).await;
        outcome.unwrap();
        let expected = [
            "cloudformation describe-stacks",
            "cloudformation package",
            "lambda update-function-code",
            "lambda wait",
            "lambda invoke",
            "cloudformation deploy",
            "lambda invoke",
        ];
        assert_eq!(calls, expected);
    }

    #[tokio::test]
    async fn a_stack_that_nobody_can_ask_for_is_not_taken_for_a_new_one() {
        let (outcome, calls) = run("unknown", NOBODY_KNOWS, MIGRATED, &["ReplyDomain=reply.example.com"]).await;
        assert!(outcome.unwrap_err().to_string().contains("expired"));
        assert_eq!(calls, ["cloudformation describe-stacks"]);
    }

    #[tokio::test]
    async fn a_failed_migration_ends_the_deployment_before_the_code_takes_traffic() {
        let (outcome, calls) = run("failed", THERE, FAILED, &[]).await;
        assert!(outcome.unwrap_err().to_string().contains(r#""errorMessage":"no""#));
        assert_eq!(calls.last().unwrap(), "lambda invoke");
        assert!(!calls.contains(&"cloudformation deploy".to_owned()));
    }

    #[tokio::test]
    async fn without_the_cli_it_says_what_to_do() {
        let places = Places::of(std::env::temp_dir());
        let cli = Cli { program: "/no/such/aws".into(), places: &places };
        let plan = Plan::new(&places, &options(&[]), "bucket");
        let error = cli.deploy(&plan, &known(), &[]).await.unwrap_err();
        assert!(error.to_string().contains("--dry-run"), "{error}");
    }
}
