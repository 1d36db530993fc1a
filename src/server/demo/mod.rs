//! Demo mode: two clients with keys of their own, and a synthetic population loaded through the same
//! door as any client's data (contract, "Demo mode").

pub mod credentials;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use salus_access::Access;
use salus_demo::Population;
use salus_store::Error as StoreError;

use crate::account::Caller;
use crate::app::App;
use crate::cli::complain;
use crate::dispatch::dispatch;
use crate::request::{Body, FhirRequest, Verb};
use crate::settings::Settings;
use credentials::Credentials;

/// The population is the same on every machine, but for the day it is seen from.
const SEED: u64 = 20_261_125;
/// Bundles loaded at a time.
const CONCURRENT: usize = 4;

/// Makes sure that clients, population and credentials are there.
///
/// # Errors
/// What could not be made, in words.
pub async fn prepare(app: &Arc<App>, settings: &Settings) -> Result<(), String> {
    let path = credentials::path(&settings.data_dir);
    if let Some(known) = Credentials::read(&path)? {
        // The server may have moved to another address since.
        return known.at(settings).write(&path);
    }
    let credentials = Credentials::register(app, settings).await?;
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let population = Population::generate(SEED, settings.demo_patients, today);
    load(app, &credentials, &population).await?;
    credentials.with(&population).write(&path)
}

async fn load(app: &Arc<App>, credentials: &Credentials, population: &Population) -> Result<(), String> {
    let caller = Arc::new(Caller {
        principal: Some(credentials.principal(app).await?),
        address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        request_id: "demo-data".to_owned(),
    });
    let (bundles, resources) = (population.bundles.len(), population.resources);
    complain(&format!("loading demo data: {} patients, {resources} resources", population.patients.len()));
    // The first Bundle holds what all others refer to, the last the wards' Groups.
    let (Some((first, rest)), begun) = (population.bundles.split_first(), std::time::Instant::now()) else {
        return Ok(());
    };
    post(app, &caller, first.clone()).await?;
    let (middle, last) = rest.split_at(rest.len().saturating_sub(1));
    let known = Arc::new(Access::system("demo-data", app.store.tenant()));
    let patients: Vec<(&String, &String)> = population.patients.iter().zip(middle).collect();
    for (done, group) in patients.chunks(CONCURRENT).enumerate() {
        let posts = group.iter().map(|(patient, bundle)| async {
            // A load that was broken off goes on: a Bundle is there whole or not at all, and what its Consents withhold
            // from the loading client could not be written again.
            match app.store.read(&known, "Patient", patient).await {
                Ok(_) => Ok(()),
                Err(StoreError::NotFound { .. }) => post(app, &caller, (*bundle).clone()).await,
                Err(error) => Err(format!("demo data could not be loaded: {error}")),
            }
        });
        futures_util::future::try_join_all(posts).await?;
        if done % 5 == 4 {
            complain(&format!("loading demo data: {} of {bundles} bundles", done * CONCURRENT + CONCURRENT + 1));
        }
    }
    for bundle in last {
        post(app, &caller, bundle.clone()).await?;
    }
    complain(&format!("demo data loaded in {:.1} s", begun.elapsed().as_secs_f64()));
    Ok(())
}

async fn post(app: &App, caller: &Caller, bundle: String) -> Result<(), String> {
    let request =
        FhirRequest { verb: Some(Verb::Post), body: Body::Bytes(Bytes::from(bundle)), ..FhirRequest::default() };
    let response = dispatch(app, caller, &request).await;
    if response.status == 200 { Ok(()) } else { Err(format!("demo data was refused: {}", response.body)) }
}
