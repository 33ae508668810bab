//! Requests the pages of a list, with limits that apply to all pages together.

use std::collections::HashSet;

use mlflow_deploy_plugin_api::{Error, Result};

use crate::{Client, Policy, Request, Response, send};

/// The maximum number of pages of a list.
const MAX_PAGES: usize = 10_000;

/// The pages of one list, which are requested one after another. Their number is limited. The total time and the
/// maximum size in the policy apply to all pages together, so that an endless list exhausts neither time nor memory.
#[derive(Debug)]
pub struct Pages<'a> {
    client: &'a Client,
    policy: Policy,
    count: usize,
    seen: HashSet<String>,
}

impl<'a> Pages<'a> {
    /// Prepares to request the pages of a list. The total time of the policy starts now.
    pub fn new(client: &'a Client, policy: &Policy) -> Self {
        Self { client, policy: policy.started(), count: 0, seen: HashSet::new() }
    }

    /// Sends the request for one page, and returns the response.
    ///
    /// # Errors
    /// Fails as [`send`](crate::send()) does, or with `INTERNAL_ERROR` if the list has too many pages or they are too
    /// large together.
    pub async fn ask(&mut self, request: &Request) -> Result<Response> {
        if self.count == MAX_PAGES {
            return Err(Error::internal(format!("the server's list has more than {MAX_PAGES} pages: check the URL")));
        }
        let response = send(self.client, request, &self.policy).await?;
        self.count += 1;
        self.policy.used_bytes += response.payload.bytes().len();
        Ok(response)
    }

    /// Records the token with which the next page is requested. `what` describes the token in the error, such as `page
    /// token`.
    ///
    /// # Errors
    /// `INTERNAL_ERROR` if an earlier page had the same token, because the list would not end.
    pub fn follow(&mut self, what: &str, token: &str) -> Result<()> {
        match self.seen.insert(token.to_owned()) {
            true => Ok(()),
            false => {
                Err(Error::internal(format!("the server returned the {what} `{token}` twice: its list does not end")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Connection;

    #[tokio::test]
    async fn a_page_beyond_the_limit_fails() {
        let client = Client::new(Connection::default());
        let mut pages = Pages { count: MAX_PAGES, ..Pages::new(&client, &Policy::default()) };
        let error = pages.ask(&crate::tests::request(http::Method::GET, "http://h")).await.unwrap_err();
        assert!(error.message().starts_with("the server's list has more than 10000 pages"), "{error}");
    }
}
