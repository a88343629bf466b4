//! Reads bank statements and books them.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("invalid configuration")]
    Config(#[from] toml::de::Error),
}

#[derive(Debug, Deserialize)]
pub struct Config {
    pub bank: String,
    pub batch: usize,
}

pub fn load_config(path: &Path) -> Result<Config, ImportError> {
    // say which file it was: the io error alone does not
    let text = std::fs::read_to_string(path).map_err(|source| ImportError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(toml::from_str(&text)?)
}

pub struct Account {
    pub iban: String,
    pub balance: i64,
}

pub fn settle(accounts: &mut Vec<Account>) {
    // an index instead of a reference: push may move every element
    let largest = accounts
        .iter()
        .enumerate()
        .max_by_key(|(_, account)| account.balance)
        .map(|(index, _)| index);
    accounts.push(Account { iban: String::new(), balance: 0 });
    if let Some(index) = largest {
        accounts[index].balance -= 1;
    }
}

fn after_prefix<'a>(text: &'a str, prefix: &str) -> &'a str {
    text.strip_prefix(prefix).unwrap_or(text)
}

/// Bank labels rarely contain tabs, so most are returned as they came.
fn clean_label(text: &str) -> Cow<'_, str> {
    if text.contains('\t') {
        Cow::Owned(text.replace('\t', " "))
    } else {
        Cow::Borrowed(text)
    }
}

pub fn with_label(label: impl Into<String>) -> Entry {
    Entry { label: label.into(), weight: 0 }
}

pub struct Entry {
    pub label: String,
    pub weight: u32,
}

fn digit_sum(digits: &[u8]) -> u32 {
    digits.iter().map(|digit| u32::from(*digit)).sum()
}
