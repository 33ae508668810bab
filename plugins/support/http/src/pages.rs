//! A list that comes in pages: its limits hold for all pages together.

use std::collections::HashSet;

use mlflow_deploy_plugin_api::{Error, Result};

use crate::{Client, Policy, Request, Response, send};

/// No list has more pages.
const MAX_PAGES: usize = 10_000;

/// The pages of one list, asked for one after the other. Their number is limited, and the policy's time and its longest
/// answer hold for all of them together, so that a server whose list has no end fills neither time nor memory.
#[derive(Debug)]
pub struct Pages<'a> {
    client: &'a Client,
    policy: Policy,
    number: usize,
    seen: HashSet<String>,
}

impl<'a> Pages<'a> {
    /// Starts the time of a list.
    pub fn new(client: &'a Client, policy: &Policy) -> Self {
        Self { client, policy: policy.started(), number: 0, seen: HashSet::new() }
    }

    /// Asks for a page.
    ///
    /// # Errors
    /// As for [`send`](crate::send()); `INTERNAL_ERROR` also if the pages so far are too many or too long together.
    pub async fn ask(&mut self, request: &Request) -> Result<Response> {
        if self.number == MAX_PAGES {
            return Err(Error::internal(format!(
                "the server's list has more than {MAX_PAGES} pages: check that the URL is the target's own"
            )));
        }
        let answer = send(self.client, request, &self.policy).await?;
        self.number += 1;
        self.policy.taken += answer.payload.bytes().len();
        Ok(answer)
    }

    /// Notes the token of the next page. `what` names it, such as `page token`.
    ///
    /// # Errors
    /// `INTERNAL_ERROR` if an earlier page had the same one: the list would have no end.
    pub fn follow(&mut self, what: &str, token: &str) -> Result<()> {
        match self.seen.insert(token.to_owned()) {
            true => Ok(()),
            false => Err(Error::internal(format!(
                "the server gave the {what} `{token}` twice, and its list would have no end"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Connection;

    #[tokio::test]
    async fn there_is_no_page_after_the_last_that_is_taken() {
        let client = Client::new(Connection::default());
        let mut pages = Pages { number: MAX_PAGES, ..Pages::new(&client, &Policy::default()) };
        let error = pages.ask(&Request::default()).await.unwrap_err();
        assert!(error.message().starts_with("the server's list has more than 10000 pages"), "{error}");
    }
}
