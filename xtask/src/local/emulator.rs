//! The AWS emulator. It forgets everything when it ends, so that each `up` deploys anew.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::process::Command;

use super::ledger::Ending;
use super::places::{Places, make_folder, remove_folder};
use super::processes::{Group, tail};
use super::tools::Tools;

/// The bucket that holds the functions' code.
pub(crate) const CODE_BUCKET: &str = "martlet-code";
/// The number of the account that it plays.
const ACCOUNT: &str = "000000000000";
/// How long it may take until it answers; the first start compiles its Python.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// The running emulator. Dropping it ends it and the functions that it runs.
#[derive(Debug)]
pub(crate) struct Emulator {
    group: Group,
    log: PathBuf,
    /// Its base URL.
    pub(crate) url: String,
}

/// What `python -m ministack` does, but without Nagle's algorithm: it writes an invocation in two parts, and the second one
/// would wait 40 ms until the function's side acknowledges the first.
const START: &str = "\
import runpy, socketserver
socketserver.StreamRequestHandler.disable_nagle_algorithm = True
runpy.run_module('ministack', run_name='__main__', alter_sys=True)";

impl Emulator {
    /// Starts the emulator with these files in its bucket for code.
    ///
    /// The files are laid into its folder beforehand: an upload of them all takes it a minute.
    pub(crate) async fn start(places: &Places, tools: &Tools, port: u16, code: &[PathBuf]) -> Result<Self> {
        let folder = places.emulator();
        remove_folder(&folder)?;
        let bucket = folder.join("s3").join(ACCOUNT).join(CODE_BUCKET);
        for needed in [&bucket, &folder.join("tmp"), &places.logs()] {
            make_folder(needed)?;
        }
        for file in code {
            let name = file.file_name().context("a file without a name")?;
            // A second name for the same file, where the file system can do that.
            fs::hard_link(file, bucket.join(name))
                .or_else(|_| fs::copy(file, bucket.join(name)).map(drop))
                .with_context(|| format!("can't lay {} into {}", file.display(), bucket.display()))?;
        }
        let log_path = places.logs().join("emulator.log");
        let log = File::create(&log_path).with_context(|| format!("can't write {}", log_path.display()))?;
        let mut command = Command::new(tools.python());
        command
            .args(["-c", START])
            .current_dir(&folder)
            // The functions inherit its environment, and a developer's AWS login is none of their business.
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &folder)
            .env("TMPDIR", folder.join("tmp"))
            .env("STATE_DIR", folder.join("state"))
            .env("S3_PERSIST", "1")
            .env("S3_DATA_DIR", folder.join("s3"))
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            // Else it listens for MQTT on every interface.
            .env("IOT_MTLS_ENABLED", "0")
            .stdout(log.try_clone()?)
            .stderr(log);
        let group = Group::start(places, "the AWS emulator", &mut command, Ending::Terminate)?;
        let mut emulator = Self { group, log: log_path, url: format!("http://127.0.0.1:{port}") };
        emulator.wait_until_it_answers().await?;
        Ok(emulator)
    }

    /// Fails if the emulator has ended.
    pub(crate) fn still_runs(&mut self) -> Result<()> {
        self.group.still_runs(&self.log)
    }

    async fn wait_until_it_answers(&mut self) -> Result<()> {
        let http = reqwest::Client::builder().no_proxy().timeout(STARTS_WITHIN).build()?;
        let began = Instant::now();
        loop {
            let answer = http.get(format!("{}/_ministack/health", self.url)).send().await;
            let Err(error) = answer.and_then(reqwest::Response::error_for_status) else { return Ok(()) };
            self.still_runs()?;
            if began.elapsed() > STARTS_WITHIN {
                let context = format!("the AWS emulator does not answer. The end of its log:\n{}", tail(&self.log));
                return Err(error).context(context);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
