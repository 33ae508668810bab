//! A fake of AWS: SageMaker's endpoints with scripted states and predictions, S3, STS, ECR and IAM, at one URL.

mod account;
mod frames;
mod operation;
mod predictions;
mod storage;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

pub use account::Account;
pub use frames::{frame, part};

use self::operation::operation;
use crate::server::{Request, Server};

/// A running fake of AWS. It stops when this value is dropped.
#[derive(Debug)]
pub struct Aws {
    server: Server,
    account: Arc<Mutex<Account>>,
}

impl Aws {
    /// Starts a fake without resources.
    pub fn start() -> Self {
        let account = Arc::new(Mutex::new(Account::default()));
        let shared = Arc::clone(&account);
        let answer = move |request: &Request| match request.path.starts_with("/endpoints/") {
            true => predictions::answer(&lock(&shared), request),
            false => lock(&shared).answer(request),
        };
        Self { server: Server::answering(answer), account }
    }

    /// Returns the URL of all services.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// Returns the names of the operations so far. Those of S3 are methods and queries.
    pub fn operations(&self) -> Vec<String> {
        self.requests().iter().map(operation).collect()
    }

    /// Returns the body of the last request of an operation.
    ///
    /// # Panics
    /// Panics if there is no such request.
    pub fn last(&self, name: &str) -> Value {
        let requests = self.requests();
        let request =
            requests.iter().rev().find(|request| operation(request) == name).expect("the operation was requested");
        serde_json::from_slice(&request.body).expect("the body is JSON")
    }

    /// Returns the numbers of endpoints, configs, models and objects.
    pub fn counts(&self) -> [usize; 4] {
        self.edit(|account| {
            [account.endpoints.len(), account.configs.len(), account.models.len(), account.objects.len()]
        })
    }

    /// Changes the account.
    pub fn edit<T>(&self, edit: impl FnOnce(&mut Account) -> T) -> T {
        edit(&mut lock(&self.account))
    }
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}
