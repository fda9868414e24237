//! Text models: programs elsewhere that write a text when they are told what is wanted.
//!
//! What people or providers have said about somebody is handed over as data and bounded; whatever it says, the worst that comes of
//! it is a useless text about that person, which is bounded as well.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::audience::providers::{Asker, ChatModel, Question};

/// How long a text may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Tokens of a text at most.
const TOKENS: u32 = 400;

/// What is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// What the model is to do: our words alone.
    pub task: &'static str,
    /// What it is to do it with: others' words, as JSON.
    pub data: Value,
}

/// No text has come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text model has not written anything")]
pub struct NoText;

/// Writes texts.
pub trait TextModel: Send + Sync {
    /// What the model is called.
    fn model(&self) -> &str;

    /// Writes one text.
    fn write<'a>(&'a self, prompt: &'a Prompt) -> BoxFuture<'a, Result<String, NoText>>;
}

/// A model behind the interface of chat completions, which many providers have.
pub struct ChatCompletions<'a> {
    /// Where it is.
    pub setting: &'a ChatModel,
    /// The way out.
    pub asker: &'a dyn Asker,
}

impl TextModel for ChatCompletions<'_> {
    fn model(&self) -> &str {
        &self.setting.model
    }

    fn write<'a>(&'a self, prompt: &'a Prompt) -> BoxFuture<'a, Result<String, NoText>> {
        Box::pin(async move {
            let body = json!({
                "model": self.setting.model,
                "max_tokens": TOKENS,
                "messages": [
                    {"role": "system", "content": prompt.task},
                    {"role": "user", "content": prompt.data.to_string()},
                ],
            });
            let question = Question {
                provider: self.setting.name.clone(),
                url: self.setting.url.clone(),
                body: Some(body),
                timeout: PATIENCE,
            };
            let reply = self.asker.ask(&question).await.map_err(|_| NoText)?;
            let text = reply.body.pointer("/choices/0/message/content").and_then(Value::as_str);
            match (reply.status, text) {
                (200..=299, Some(text)) => Ok(text.to_owned()),
                _ => Err(NoText),
            }
        })
    }
}
