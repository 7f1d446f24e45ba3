//! The server: requests of the protocol to tools, resources and prompts.

use super::answer::RULE;
use super::call::{Call, Refused, schema};
use super::opened::Dumps;
use super::roots::Roots;
use super::tools::{TOOLS, Tool};
use super::{prompts, resources};
use dumpscope_analyzers::Cancel;
use dumpscope_engine::batch::TriageOptions;
use rmcp::model as mcp;
use rmcp::model::ErrorData;
use rmcp::service::{RequestContext, RoleServer};
use rmcp::{ServerHandler, ServiceExt};
use serde_json::json;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

const INSTRUCTIONS: &str = "Says why a Windows process crashed or hung, from its minidump. Begin with `list_dumps` and `open_dump`, then \
     `verdict`. Each sentence of a verdict has an id; `evidence` opens it. `threads`, `stack`, `waits`, `locks`, \
     `memory`, `types` and `run` (WinDbg's commands) look closer. Open the dumps of several processes of one moment and \
     ask `incident`, or several dumps of one process and ask `diff`. Lists come in pages: `next_offset` is the next \
     page's `offset`. Say how sure a finding is (proven, strong, guess) when you repeat it.";

/// What one call may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) budget: Duration,
    /// Calls that work at the same time; others wait for their turn.
    pub(super) jobs: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { budget: Duration::from_secs(20), jobs: 4 }
    }
}

/// What all calls share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) roots: Roots,
    /// Where `shrink` may write.
    pub(super) write: Option<PathBuf>,
    pub(super) options: TriageOptions,
    pub(super) limits: Limits,
    pub(super) dumps: Dumps,
}

/// The server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    state: Arc<State>,
    turns: Arc<Semaphore>,
}

impl Server {
    pub(super) fn new(state: Arc<State>) -> Server {
        let turns = Arc::new(Semaphore::new(state.limits.jobs));
        Server { state, turns }
    }
}

/// Serves on stdin and stdout until the input ends.
pub(super) async fn serve(server: Server) -> anyhow::Result<()> {
    match server.serve(rmcp::transport::stdio()).await {
        Ok(running) => {
            running.waiting().await?;
            Ok(())
        }
        // Nobody spoke the protocol: the input ended before it began.
        Err(error) => Err(anyhow::anyhow!("no client: {error}")),
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> mcp::ServerConfig {
        let can =
            mcp::ServerCapabilities::builder().enable_tools().enable_resources().enable_prompts().build();
        mcp::ServerConfig::new(can)
            .with_server_info(mcp::Implementation::new("dumpscope", env!("CARGO_PKG_VERSION")))
            .with_instructions(format!("{INSTRUCTIONS} {RULE}"))
    }

    async fn list_tools(
        &self,
        _: Option<mcp::PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<mcp::ListToolsResult, ErrorData> {
        Ok(mcp::ListToolsResult::with_all_items(TOOLS.iter().map(described).collect()))
    }

    async fn call_tool(
        &self,
        request: mcp::CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<mcp::CallToolResponse, ErrorData> {
        let Some(tool) = TOOLS.iter().find(|t| t.name == request.name) else {
            return Err(ErrorData::invalid_params("there is no tool of this name", None));
        };
        let turn = tokio::select! {
            turn = self.turns.clone().acquire_owned() => turn,
            () = context.ct.cancelled() => return Err(stopped()),
        };
        let cancel = Cancel::default();
        let limited = match Instant::now().checked_add(self.state.limits.budget) {
            Some(end) => cancel.with_deadline(end),
            None => cancel.clone(),
        };
        let call = Call::new(tool, self.state.clone(), request.arguments.unwrap_or_default(), limited);
        let call = match call {
            Ok(call) => call,
            Err(refused) => return Ok(refusal(&refused).into()),
        };
        let work = tokio::task::spawn_blocking(move || {
            // It counts as long as it works, also when nobody waits for it any more.
            let _turn = turn;
            catch_unwind(AssertUnwindSafe(|| (tool.run)(&call)))
        });
        tokio::select! {
            done = work => Ok(match done {
                Ok(Ok(Ok(answer))) => mcp::CallToolResult::structured(answer).into(),
                Ok(Ok(Err(refused))) => refusal(&refused).into(),
                _ => refusal(&"this failed inside dumpscope, which is a bug in it; the server goes on".into()).into(),
            }),
            () = context.ct.cancelled() => {
                cancel.cancel();
                Err(stopped())
            }
        }
    }

    async fn list_resources(
        &self,
        _: Option<mcp::PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<mcp::ListResourcesResult, ErrorData> {
        Ok(mcp::ListResourcesResult::with_all_items(resources::list()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<mcp::PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<mcp::ListResourceTemplatesResult, ErrorData> {
        Ok(mcp::ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        request: mcp::ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<mcp::ReadResourceResponse, ErrorData> {
        match resources::read(&request.uri) {
            Some(contents) => Ok(mcp::ReadResourceResult::new(vec![contents]).into()),
            None => Err(ErrorData::resource_not_found("there is no such resource", None)),
        }
    }

    async fn list_prompts(
        &self,
        _: Option<mcp::PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<mcp::ListPromptsResult, ErrorData> {
        Ok(mcp::ListPromptsResult::with_all_items(prompts::list()))
    }

    async fn get_prompt(
        &self,
        request: mcp::GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<mcp::GetPromptResponse, ErrorData> {
        let dump = request.arguments.as_ref().and_then(|a| a.get("dump")).and_then(|v| v.as_str());
        match prompts::get(&request.name, dump) {
            Some(prompt) => Ok(prompt.into()),
            None => Err(ErrorData::invalid_params("there is no prompt of this name", None)),
        }
    }
}

fn stopped() -> ErrorData {
    ErrorData::internal_error("stopped by the client", None)
}

fn refusal(refused: &Refused) -> mcp::CallToolResult {
    mcp::CallToolResult::structured_error(json!({ "error": refused.0 }))
}

/// A tool as clients see it.
fn described(tool: &Tool) -> mcp::Tool {
    let hints = mcp::ToolAnnotations::with_title(tool.title)
        .read_only(!tool.writes)
        .destructive(false)
        .idempotent(true)
        .open_world(false);
    mcp::Tool::new(tool.name, tool.about, Arc::new(schema(tool.args))).with_annotations(hints)
}
