//! Where an interaction reads from: what is committed, or a transaction that is not, and then it sees what that wrote.

use std::sync::Arc;

use deadpool_postgres::Transaction;
use salus_access::Access;

use crate::search::{Page, SearchQuery};
use crate::{HistoryPage, HistoryQuery, Result, Store, Version};

/// Where an interaction reads.
#[derive(Clone, Copy)]
pub struct Reads<'a> {
    store: &'a Store,
    within: Option<&'a Transaction<'a>>,
}

impl<'a> Reads<'a> {
    /// What is committed.
    pub fn committed(store: &'a Store) -> Self {
        Self { store, within: None }
    }

    /// What is committed, and what the transaction wrote.
    pub(crate) fn within(store: &'a Store, transaction: &'a Transaction<'a>) -> Self {
        Self { store, within: Some(transaction) }
    }

    /// The current version.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] where there is none the caller may see, [`crate::Error::Gone`] where it was
    /// deleted.
    pub async fn read(&self, access: &Arc<Access>, resource_type: &str, id: &str) -> Result<Version> {
        match self.within {
            None => self.store.read(access, resource_type, id).await,
            Some(transaction) => self.store.read_with(transaction, access, resource_type, id).await,
        }
    }

    /// One version, current or former.
    ///
    /// # Errors
    /// As [`Reads::read`]; the version of a deletion is [`crate::Error::Gone`].
    pub async fn vread(&self, access: &Access, resource_type: &str, id: &str, version: i32) -> Result<Version> {
        match self.within {
            None => self.store.vread(access, resource_type, id, version).await,
            Some(transaction) => self.store.vread_with(transaction, access, resource_type, id, version).await,
        }
    }

    /// A page of a history.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] where an instance has no version the caller may see.
    pub async fn history(&self, access: &Access, query: &HistoryQuery) -> Result<HistoryPage> {
        match self.within {
            None => self.store.history(access, query).await,
            Some(transaction) => self.store.history_with(transaction, access, query).await,
        }
    }

    /// A page of a search.
    ///
    /// # Errors
    /// [`crate::Error::Search`] for what cannot be asked, [`crate::Error::PageLink`] for a page that is not one
    /// of this search.
    pub async fn search(&self, access: &Access, query: &SearchQuery) -> Result<Page> {
        match self.within {
            None => self.store.search(access, query).await,
            Some(transaction) => self.store.search_with(transaction, &self.store.view(access), query).await,
        }
    }
}
