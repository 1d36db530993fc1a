//! What every request needs: built once at start, shared by all.

use std::sync::Arc;

use salus_access::{Access, Interaction, Policy, Principal, authorize};
use salus_analytics::Models;
use salus_auth::AuthServer;
use salus_fhir::Definitions;
use salus_store::Store;
use tower_http::cors::CorsLayer;

use crate::failure::Failure;
use crate::interactions::capabilities::Capabilities;
use crate::intrusion_detection::IntrusionDetection;
use crate::limits::{Limits, Slots};
use crate::metrics::Metrics;
use crate::pages::Pages;
use crate::seal::Seal;

/// The server's parts.
pub struct App {
    /// Resources and the audit log.
    pub store: Store,
    /// Clients and tokens.
    pub auth: Arc<AuthServer>,
    /// The access policy.
    pub policy: Policy,
    /// The clinical models.
    pub models: Models,
    /// What the FHIR packages say.
    pub definitions: Arc<Definitions>,
    /// FHIR base URL: `http://127.0.0.1:8080/fhir`.
    pub base: String,
    /// Seals page links.
    pub seal: Seal,
    /// Counts what looks like guessing.
    pub intrusion_detection: IntrusionDetection,
    /// What requests may take of the server.
    pub limits: Limits,
    /// Which pages of other origins may call.
    pub cors: Option<CorsLayer>,
    /// Room for the requests at work.
    pub slots: Slots,
    /// What `/fhir/metadata` answers.
    pub capabilities: Capabilities,
    /// Pages for people, and the OpenAPI description.
    pub pages: Pages,
    /// Figures for operators.
    pub metrics: Metrics,
}

impl App {
    /// What `principal` may reach with an interaction on a type (`None` on system level).
    ///
    /// # Errors
    /// 403 where its token does not allow it, 503 where the database does not answer.
    pub async fn access(
        &self,
        principal: &Principal,
        interaction: Interaction,
        resource_type: Option<&str>,
    ) -> Result<Arc<Access>, Failure> {
        let access = authorize(&self.policy, principal, interaction, resource_type)?;
        Ok(self.store.with_code_sets(access).await?)
    }
}
