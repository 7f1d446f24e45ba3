//! Well-known interfaces and endpoints of Windows, and the services behind them.
//!
//! Sources: the open specifications of Microsoft (section "Standards Assignments" of MS-SCMR, MS-RPRN, MS-LSAD, MS-SAMR,
//! MS-NRPC, MS-RRP, MS-SRVS, MS-WKST, MS-EVEN, MS-EVEN6, MS-TSCH, MS-DCOM, MS-DRSR, MS-DSSP, MS-BKRP, MS-W32T, MS-DLTW, MS-WCCE,
//! MS-TSTS), and published lists of the interfaces of Windows' services.

/// Interface id, name, service.
const INTERFACES: &[(&str, &str, &str)] = &[
    ("367abb81-9844-35f1-ad32-98f038001003", "svcctl", SCM),
    ("8d9f4e40-a03d-11ce-8f69-08003e30051b", "pnp", "Plug and Play (PlugPlay)"),
    ("12345678-1234-abcd-ef00-0123456789ab", "winspool", SPOOLER),
    ("12345778-1234-abcd-ef00-0123456789ab", "lsarpc", LSASS),
    ("12345778-1234-abcd-ef00-0123456789ac", "samr", LSASS),
    ("12345678-1234-abcd-ef00-01234567cffb", "logon", "Netlogon (lsass.exe)"),
    ("3919286a-b10c-11d0-9ba8-00c04fd92ef5", "dssetup", LSASS),
    ("3dde7c30-165d-11d1-ab8f-00805f14db40", "BackupKey", LSASS),
    ("e3514235-4b06-11d1-ab04-00c04fc2dcd2", "drsuapi", "Active Directory (lsass.exe)"),
    ("338cd001-2244-31f1-aaaa-900038001003", "winreg", "Remote Registry (RemoteRegistry)"),
    ("4b324fc8-1670-01d3-1278-5a47bf6ee188", "srvsvc", "Server (LanmanServer)"),
    ("6bffd098-a112-3610-9833-46c3f87e345a", "wkssvc", "Workstation (LanmanWorkstation)"),
    ("82273fdc-e32a-18c3-3f78-827929dc23ea", "eventlog", EVENTLOG),
    ("f6beaff7-1e19-4fbb-9f8f-b89e2018337c", "IEventService", EVENTLOG),
    ("1ff70682-0a51-30e8-076d-740be8cee98b", "atsvc", SCHEDULE),
    ("378e52b0-c0a9-11cf-822d-00aa0051e40f", "sasec", SCHEDULE),
    ("86d35949-83c9-4044-b424-db363231fd0c", "ITaskSchedulerService", SCHEDULE),
    ("e1af8308-5d1f-11c9-91a4-08002b14a0fa", "epmp", EPMAPPER),
    ("0b0a6584-9e0f-11cf-a3cf-00805f68cb1b", "localepmp", EPMAPPER),
    ("99fcfec4-5260-101b-bbcb-00aa0021347a", "IObjectExporter", RPCSS),
    ("4d9f4ab8-7d1c-11cf-861e-0020af6e7c57", "IActivation", RPCSS),
    ("000001a0-0000-0000-c000-000000000046", "IRemoteSCMActivator", RPCSS),
    ("45776b01-5956-4485-9f80-f428f7d60129", "DnsResolver", DNS),
    ("7ea70bcf-48af-4f6a-8968-6a440754d5fa", "NsiServer", "Network Store Interface (nsi)"),
    ("201ef99a-7fa0-444c-9399-19ba84f12a1a", "LaunchAdminProcess", "Application Information (Appinfo)"),
    ("2eb08e3e-639f-4fba-97b1-14f878961076", "GroupPolicyRPCInterface", "Group Policy (gpsvc)"),
    ("8fb6d884-2388-11d0-8c35-00c04fda2795", "W32Time", "Windows Time (W32Time)"),
    ("300f3532-38cc-11d0-a3f0-0020af6b0add", "trkwks", "Distributed Link Tracking (TrkWks)"),
    ("91ae6020-9e3c-11cf-8d7c-00aa00c091be", "ICertPassage", "Certificate Services (CertSvc)"),
    ("5ca4a760-ebb1-11cf-8611-00a0245420ed", "IcaApi", TERMINAL),
];

const SCM: &str = "the service control manager (services.exe)";
const SPOOLER: &str = "the print spooler (Spooler)";
const LSASS: &str = "the local security authority (lsass.exe)";
const EVENTLOG: &str = "the event log (EventLog)";
const SCHEDULE: &str = "the task scheduler (Schedule)";
const EPMAPPER: &str = "the RPC endpoint mapper (RpcEptMapper)";
const RPCSS: &str = "the COM activator (RpcSs, DcomLaunch)";
const DNS: &str = "the DNS client (Dnscache)";
const TERMINAL: &str = "Remote Desktop Services (TermService)";

/// Endpoint, service.
const ENDPOINTS: &[(&str, &str)] = &[
    ("epmapper", EPMAPPER),
    ("ntsvcs", SCM),
    ("svcctl", SCM),
    ("plugplay", "Plug and Play (PlugPlay)"),
    ("spoolss", SPOOLER),
    ("lsapolicylookup", LSASS),
    ("lsasspirpc", LSASS),
    ("lsarpc", LSASS),
    ("lsass", LSASS),
    ("samss lpc", LSASS),
    ("samr", LSASS),
    ("netlogon", "Netlogon (lsass.exe)"),
    ("protected_storage", LSASS),
    ("eventlog", EVENTLOG),
    ("atsvc", SCHEDULE),
    ("ubpmrpc", SCHEDULE),
    ("wkssvc", "Workstation (LanmanWorkstation)"),
    ("srvsvc", "Server (LanmanServer)"),
    ("winreg", "Remote Registry (RemoteRegistry)"),
    ("dnsresolver", DNS),
    ("dhcpcsvc", "the DHCP client (Dhcp)"),
    ("dhcpcsvc6", "the DHCP client (Dhcp)"),
    ("keysvc", "Cryptographic Services (CryptSvc)"),
    ("trkwks", "Distributed Link Tracking (TrkWks)"),
    ("audioclientrpc", "Windows Audio (Audiosrv)"),
    ("tapsrvlpc", "Telephony (TapiSrv)"),
    ("iuserprofile2", "User Profile Service (ProfSvc)"),
    ("senssvc", "System Event Notification (SENS)"),
    ("lsmapi", "the local session manager (LSM)"),
    ("termsrvapi", TERMINAL),
    ("w32time_alt", "Windows Time (W32Time)"),
    ("windowsshutdown", "wininit.exe"),
];

/// Name and service of an interface.
pub(super) fn interface_of(guid: &str) -> Option<(&'static str, &'static str)> {
    INTERFACES.iter().find(|i| i.0 == guid).map(|i| (i.1, i.2))
}

/// The service behind `protocol:[endpoint]` on this machine. Endpoints of TCP are numbers and tell nothing.
pub(super) fn endpoint_owner(text: &str) -> Option<&'static str> {
    let (protocol, rest) = text.split_once(":[")?;
    if !matches!(protocol, "ncalrpc" | "ncacn_np") {
        return None;
    }
    let lower = rest.strip_suffix(']')?.to_ascii_lowercase();
    let plain = lower.strip_prefix(r"\rpc control\").or_else(|| lower.strip_prefix(r"\pipe\"));
    let plain = plain.unwrap_or(&lower);
    ENDPOINTS.iter().find(|e| e.0 == plain).map(|e| e.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_well_formed_and_unique() {
        for (i, (guid, name, service)) in INTERFACES.iter().enumerate() {
            let parts: Vec<usize> = guid.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{name}");
            assert!(guid.chars().all(|c| c == '-' || c.is_ascii_digit() || ('a'..='f').contains(&c)));
            assert!(INTERFACES.iter().skip(i + 1).all(|o| o.0 != *guid), "{name}");
            assert!(!service.is_empty());
        }
        assert!(ENDPOINTS.iter().all(|e| e.0 == e.0.to_ascii_lowercase()));
    }

    #[test]
    fn endpoints_by_name() {
        assert_eq!(endpoint_owner("ncalrpc:[ntsvcs]"), Some(SCM));
        assert_eq!(endpoint_owner(r"ncacn_np:[\pipe\spoolss]"), Some(SPOOLER));
        assert_eq!(endpoint_owner("ncacn_ip_tcp:[135]"), None);
        assert_eq!(endpoint_owner("ncalrpc:[LRPC-1d2e3f]"), None);
        assert_eq!(endpoint_owner("ntsvcs"), None);
    }
}
