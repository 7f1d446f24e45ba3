//! RPC calls.

use super::Confidence;
use dumpscope_core::base::Guid;

/// An RPC call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcCall {
    /// The interface.
    pub interface: Guid,
    /// Its name, when it is a known one.
    pub name: Option<String>,
    /// Procedure number.
    pub procedure: u32,
    /// Protocol sequence and endpoint, such as `ncalrpc:[ntsvcs]`. Untrusted.
    pub endpoint: Option<String>,
    /// The service behind interface or endpoint, when it is a known one.
    pub service: Option<&'static str>,
    /// How sure interface and procedure are.
    pub confidence: Confidence,
    /// What it rests on, one sentence each.
    pub evidence: Vec<String>,
}

impl RpcCall {
    /// `{guid} name`.
    #[must_use]
    pub fn interface_words(&self) -> String {
        let name = self.name.as_deref().map(|n| format!(" {n}")).unwrap_or_default();
        format!("{{{}}}{name}", self.interface)
    }

    /// `svcctl, procedure 19`; an interface without a name by its id.
    #[must_use]
    pub fn words(&self) -> String {
        let interface = self.name.clone().unwrap_or_else(|| format!("interface {{{}}}", self.interface));
        format!("{interface}, procedure {}", self.procedure)
    }
}
