//! Meeting a node for the first time, and getting a password for this device.

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use protocol::{NodeId, NodeName, NodeSecret, TlsKey};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::connection::{Connection, document, full};
use crate::home::{Identity, words};
use crate::logins::DeviceSecret;
use crate::place::Address;
use crate::{ClientError, FOUND_MAX, Finder, Kind, Login};

/// A node that has shown who it is, and that nobody has vouched for yet: the person must know its
/// id before anything is said to it.
pub struct Introduction {
    connection: Connection,
    address: Address,
    node: NodeId,
    name: Option<NodeName>,
}

/// What a person signs in with.
pub struct Credentials<'a> {
    /// Name of the account.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
    /// Code of the second factor or recovery code.
    pub code: Option<&'a str>,
    /// What the account page shall call this device.
    pub label: &'a str,
}

impl Introduction {
    /// Who it is.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// What it calls itself.
    #[must_use]
    pub fn name(&self) -> Option<&NodeName> {
        self.name.as_ref()
    }

    /// The key of its certificate, for which it vouches.
    #[must_use]
    pub fn tls_key(&self) -> TlsKey {
        self.connection.key()
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }
}

/// Finds the node that a person means by `target`, an address or a name, and asks who it is.
///
/// # Errors
/// If nothing answers, several nodes have the name, or what answers cannot prove who it is.
pub async fn meet(target: &str, finder: &impl Finder) -> Result<Introduction, ClientError> {
    if Address::is_meant(target) {
        return introduce(target.parse()?, None).await;
    }
    let (sender, mut receiver) = mpsc::channel(FOUND_MAX);
    finder.find(target, sender).await?;
    let found: Vec<_> = std::iter::from_fn(|| receiver.try_recv().ok()).collect();
    let (first, others) = found.split_first().ok_or_else(|| nobody(target))?;
    if let Some(other) = others.iter().find(|other| other.node != first.node) {
        return Err(ClientError::new(
            Kind::Refused,
            format!(
                "several nodes call themselves `{target}`: {} and {}",
                first.node, other.node
            ),
        )
        .hint("sign in with the id or the address of the one that you mean"));
    }
    let mut failure = nobody(target);
    for address in &first.addresses {
        match introduce(Address::from(*address), Some(first.node)).await {
            Ok(introduction) => return Ok(introduction),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn nobody(target: &str) -> ClientError {
    ClientError::new(
        Kind::Unreachable,
        format!("no node called `{target}` is found from here"),
    )
    .hint(
        "`cumulet discover` lists those in this network; one elsewhere is found by its center \
         (--center STRING) or by its address: cumulet login https://HOST:PORT",
    )
}

async fn introduce(
    address: Address,
    expected: Option<NodeId>,
) -> Result<Introduction, ClientError> {
    let mut connection = Connection::open(&address, address.authority()).await?;
    let identity = Identity::ask(&mut connection).await?;
    if let Some(expected) = expected
        && expected != identity.id
    {
        return Err(ClientError::new(
            Kind::Refused,
            format!(
                "at {address} answers {} in place of {expected}",
                identity.id
            ),
        ));
    }
    Ok(Introduction {
        connection,
        address,
        node: identity.id,
        name: NodeName::nearest(&identity.name),
    })
}

#[derive(Deserialize)]
struct Device {
    user: String,
    password: String,
    /// Where to ask for the node from elsewhere.
    #[serde(default)]
    center: Option<String>,
}

/// Signs in as `credentials` say; `None` if a code of the second factor is missing. The result is
/// to be kept under `name`.
///
/// # Errors
/// If the node refuses or does not answer.
pub async fn sign_in(
    introduction: &mut Introduction,
    credentials: &Credentials<'_>,
    name: &NodeName,
) -> Result<Option<Login>, ClientError> {
    let device =
        NodeSecret::generate().map_err(|error| ClientError::new(Kind::Local, error.to_string()))?;
    let proof = protocol::device::claim(&device, introduction.node);
    let mut body = serde_json::json!({
        "key": device.id().to_string(),
        "proof": proof,
        "user": credentials.user,
        "password": credentials.password,
        "label": credentials.label,
    });
    if let Some(code) = credentials.code {
        body["code"] = code.into();
    }
    if introduction.connection.is_closed() {
        // A person has been typing; whoever answers now must be the same.
        let fresh = introduce(introduction.address.clone(), Some(introduction.node)).await?;
        *introduction = fresh;
    }
    let request = Request::post("/api/devices")
        .header(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )
        .body(full(Bytes::from(body.to_string())))
        .map_err(|error| ClientError::fault(error.to_string()))?;
    let answer = introduction.connection.send(request).await?;
    let (status, bytes) = document(answer).await?;
    match status {
        StatusCode::CREATED => {}
        StatusCode::OK => return Ok(None),
        StatusCode::UNAUTHORIZED => {
            return Err(
                ClientError::new(Kind::Refused, "the name or the password is wrong")
                    .hint("it is the account's own password, as on the sign-in page"),
            );
        }
        StatusCode::NOT_FOUND => {
            return Err(
                ClientError::new(Kind::Refused, "the node lets nobody sign in from here")
                    .hint("its pages are for the home network only, or it is too old"),
            );
        }
        _ => return Err(ClientError::new(Kind::Refused, words(&bytes))),
    }
    let answer: Device = serde_json::from_slice(&bytes).map_err(|error| {
        ClientError::fault(format!("the node's answer cannot be read: {error}"))
    })?;
    Ok(Some(Login {
        name: name.clone(),
        node: introduction.node,
        tls_key: introduction.tls_key(),
        address: introduction.address.to_string(),
        last: None,
        user: answer.user,
        password: answer.password,
        center: answer.center,
        device: Some(DeviceSecret(device)),
    }))
}
