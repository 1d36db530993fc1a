//! Against a real PostgreSQL that speaks TLS, with certificates made for the occasion.

use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_postgres::{Client, NoTls};

use super::*;
use crate::cluster::Cluster;

/// A certificate authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for `name` (a DNS name or an address), and its key, in PEM.
    fn certify(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// A cluster that listens at an address of its own, for TLS alone and for clients with certificates alone.
struct Server {
    dir: PathBuf,
    cluster: Cluster,
    address: Ipv4Addr,
}

impl Server {
    async fn start(authority: &Authority) -> Self {
        let process = std::process::id();
        let [.., high, low] = process.to_be_bytes();
        // Of the addresses of this machine one that no other test listens at.
        let address = Ipv4Addr::new(127, 83, high, low.clamp(1, 254));
        let dir = std::env::temp_dir().join(format!("salus-database-{process}"));
        let cluster = Cluster::start(&dir, &|_| ()).await.unwrap();
        cluster.stop().await.unwrap();
        let (certificate, key) = authority.certify(&address.to_string());
        let settings = format!(
            "listen_addresses = '{address}'\nssl = on\nssl_cert_file = 'tls.crt'\nssl_key_file = 'tls.key'\n\
             ssl_ca_file = 'ca.crt'\n"
        );
        let files =
            [("tls.crt", certificate), ("tls.key", key), ("ca.crt", authority.0.pem()), ("custom.conf", settings)];
        let owner = std::fs::metadata(dir.join("postgres").join("PG_VERSION")).unwrap();
        for (name, text) in files {
            let path = dir.join("postgres").join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        let cluster = Cluster::start(&dir, &|_| ()).await.unwrap();
        // Who may connect is written at each start, so this comes after it.
        let hba = "local all all peer map=salus\nhostssl all all 127.0.0.0/8 cert\n";
        std::fs::write(dir.join("postgres").join("pg_hba.conf"), hba).unwrap();
        let (administrator, connection) = cluster.config().user("postgres").connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        administrator.query_one("SELECT pg_reload_conf()", &[]).await.unwrap();
        Self { dir, cluster, address }
    }

    /// Writes a file, and returns where it is.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    async fn stop(self) {
        self.cluster.stop().await.unwrap();
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}

/// Connects as a connection string says.
async fn connect(text: &str) -> Result<Client, String> {
    let database: DatabaseConfig = text.parse().map_err(|error: DatabaseConfigError| error.to_string())?;
    let connected = database.config().connect(database.tls()).await;
    let (client, connection) = connected.map_err(|error| format!("{error:?}"))?;
    tokio::spawn(connection);
    Ok(client)
}

#[tokio::test]
async fn a_database_across_the_network_is_verified_and_verifies() {
    let authority = Authority::new();
    let server = Server::start(&authority).await;
    let address = server.address;
    let roots = server.file("roots.pem", &authority.0.pem());
    let (certificate, key) = authority.certify("salus");
    let identity =
        format!("sslcert={}&sslkey={}", server.file("client.crt", &certificate), server.file("client.key", &key));

    let trusted = format!("postgresql://salus@{address}/salus?sslmode=verify-full&sslrootcert={roots}");
    let client = connect(&format!("{trusted}&{identity}")).await.unwrap();
    let row = client.query_one("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[]).await.unwrap();
    assert_eq!((row.get::<_, bool>(0), row.get::<_, &str>(1)), (true, "TLSv1.3"));

    let refused = |error: String, why: &str| assert!(error.contains(why), "{error}");
    // A server that is signed by somebody else.
    let others = server.file("others.pem", &Authority::new().0.pem());
    let stranger = trusted.replace(&roots, &others);
    refused(connect(&format!("{stranger}&{identity}")).await.unwrap_err(), "InvalidCertificate");
    // A server whose certificate is for another name, whatever mode is asked for.
    for mode in ["require", "verify-ca", "verify-full"] {
        let misnamed = format!(
            "host=localhost hostaddr={address} user=salus dbname=salus sslmode={mode} sslrootcert={roots} {}",
            identity.replace('&', " ")
        );
        refused(connect(&misnamed).await.unwrap_err(), "NotValidForName");
    }
    // A client without a certificate, and one without TLS.
    connect(&trusted).await.unwrap_err();
    let plain = format!("postgresql://salus@{address}/salus");
    refused(connect(&format!("{plain}?sslmode=disable")).await.unwrap_err(), "no encryption");
    server.stop().await;
}

#[test]
fn what_is_not_this_machine_is_reached_by_tls_alone() {
    let mode = |text: &str| {
        let config: DatabaseConfig = text.parse().unwrap();
        config.config().get_ssl_mode()
    };
    let dir = std::env::temp_dir().join(format!("salus-database-config-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let roots = dir.join("roots.pem");
    std::fs::write(&roots, Authority::new().0.pem()).unwrap();
    let roots = roots.display();
    for here in [
        "postgresql://u@localhost/d",
        "postgres://u:p@127.0.0.1:5433/d?application_name=x",
        "postgresql://u@%2Frun%2Fpg/d",
        "host=/run/pg user=u dbname=d",
        "host=::1 user=u",
    ] {
        assert_eq!(mode(here), SslMode::Disable, "{here}");
    }
    assert_eq!(mode("postgresql://u@db.example.org/d?sslmode=disable"), SslMode::Disable);
    for there in [
        format!("postgresql://u@db.example.org/d?sslrootcert={roots}"),
        format!("postgresql://u@127.0.0.1,db.example.org/d?sslrootcert={roots}"),
        format!("postgresql://u@localhost/d?sslmode=require&sslrootcert={roots}"),
        format!("host=10.0.0.5 user=u sslrootcert='{roots}' password='a  b'"),
    ] {
        assert_eq!(mode(&there), SslMode::Require, "{there}");
    }
    let config: DatabaseConfig = format!("host=10.0.0.5 user=u sslrootcert={roots} password='a  b'").parse().unwrap();
    assert_eq!(config.config().get_password(), Some(b"a  b".as_slice()));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn what_cannot_be_meant_is_refused_without_telling_the_password() {
    let refused = |text: &str| text.parse::<DatabaseConfig>().unwrap_err().to_string();
    for mode in ["prefer", "allow", "full", ""] {
        let message = refused(&format!("postgresql://u:hush@db.example.org/d?sslmode={mode}"));
        assert!(message.contains("verify-full") && !message.contains("hush"), "{message}");
    }
    let message = refused("postgresql://u:hush@db.example.org:port/d");
    assert!(message.contains("postgresql://") && !message.contains("hush"), "{message}");
    assert!(refused("postgresql://u@db.example.org/d?sslrootcert=/nowhere.pem").contains("sslrootcert: /nowhere.pem"));
    assert!(refused("postgresql://u@localhost/d?sslmode=verify-full&sslcert=/nowhere.pem").contains("go together"));
}
