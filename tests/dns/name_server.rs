//! A DNS server for tests: over UDP and TCP, with records that change while it runs.

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::CNAME;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

/// What the server does with queries for a name.
#[derive(Clone)]
pub enum Records {
    /// Addresses of both versions, and their TTL.
    Addresses(Vec<IpAddr>, u32),
    Alias(&'static str, u32),
    Failure(ResponseCode),
    /// Only queries for AAAA records get a response.
    OnlyIpv6(Vec<IpAddr>),
    Silence,
}

pub struct NameServer {
    pub address: SocketAddr,
    zone: Arc<Zone>,
}

#[derive(Default)]
struct Zone {
    records: Mutex<HashMap<String, Records>>,
    queries: Mutex<Vec<String>>,
}

/// The addresses `127.0.0.N`.
pub fn addresses(numbers: &[u8]) -> Vec<IpAddr> {
    numbers.iter().map(|number| IpAddr::from([127, 0, 0, *number])).collect()
}

impl NameServer {
    /// A server that has no names.
    pub fn start() -> Self {
        let (udp, tcp) = std::iter::repeat_with(|| UdpSocket::bind("127.0.0.1:0").unwrap())
            .find_map(|udp| TcpListener::bind(udp.local_addr().unwrap()).ok().map(|tcp| (udp, tcp)))
            .unwrap();
        let (address, zone) = (udp.local_addr().unwrap(), Arc::<Zone>::default());
        let shared = Arc::clone(&zone);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut bytes) {
                let Some(mut response) = shared.respond(&bytes[..length]) else { continue };
                if response.to_vec().unwrap().len() > 512 {
                    response.metadata.truncation = true;
                    response.answers.clear();
                }
                udp.send_to(&response.to_vec().unwrap(), from).unwrap();
            }
        });
        let shared = Arc::clone(&zone);
        std::thread::spawn(move || {
            for mut stream in tcp.incoming().map_while(Result::ok) {
                let mut length = [0; 2];
                while stream.read_exact(&mut length).is_ok() {
                    let mut query = vec![0; u16::from_be_bytes(length).into()];
                    stream.read_exact(&mut query).unwrap();
                    let Some(response) = shared.respond(&query) else { continue };
                    let response = response.to_vec().unwrap();
                    let length = u16::try_from(response.len()).unwrap().to_be_bytes();
                    let _ = stream.write_all(&[&length[..], &response].concat());
                }
            }
        });
        Self { address, zone }
    }

    pub fn set(&self, name: &str, records: Records) {
        self.zone.records.lock().insert(name.to_owned(), records);
    }

    /// The same for addresses `127.0.0.N`.
    pub fn point(&self, name: &str, numbers: &[u8], ttl: u32) {
        self.set(name, Records::Addresses(addresses(numbers), ttl));
    }

    /// How many queries there were for addresses of `name`.
    pub fn queries(&self, name: &str) -> usize {
        self.zone.queries.lock().iter().filter(|queried| *queried == name).count()
    }
}

impl Zone {
    fn respond(&self, bytes: &[u8]) -> Option<Message> {
        let query = Message::from_vec(bytes).unwrap();
        let question = query.queries[0].clone();
        let asked = question.name().to_ascii().trim_end_matches('.').to_lowercase();
        self.queries.lock().push(asked.clone());
        let mut response = Message::response(query.metadata.id, query.metadata.op_code);
        response.metadata.message_type = MessageType::Response;
        response.metadata.recursion_available = true;
        response.add_query(question.clone());
        let (mut owner, mut at) = (question.name().clone(), asked);
        loop {
            let records = self.records.lock().get(&at).cloned();
            match records {
                None => response.metadata.response_code = ResponseCode::NXDomain,
                Some(Records::Failure(code)) => response.metadata.response_code = code,
                Some(Records::Silence) => return None,
                Some(Records::OnlyIpv6(_)) if question.query_type() == RecordType::A => return None,
                Some(Records::Alias(other, ttl)) => {
                    let target = Name::from_ascii(format!("{other}.")).unwrap();
                    response.add_answer(Record::from_rdata(owner, ttl, RData::CNAME(CNAME(target.clone()))));
                    (owner, at) = (target, other.to_owned());
                    continue;
                }
                Some(Records::Addresses(addresses, ttl)) => add(&mut response, &owner, &addresses, ttl),
                Some(Records::OnlyIpv6(addresses)) => add(&mut response, &owner, &addresses, 1),
            }
            return Some(response);
        }
    }
}

/// Adds the addresses of the requested version.
fn add(response: &mut Message, owner: &Name, addresses: &[IpAddr], ttl: u32) {
    let kind = response.queries[0].query_type();
    let wanted = addresses.iter().filter(|address| address.is_ipv4() == (kind == RecordType::A));
    let records: Vec<_> = wanted.map(|ip| Record::from_rdata(owner.clone(), ttl, RData::from(*ip))).collect();
    response.add_answers(records);
}
