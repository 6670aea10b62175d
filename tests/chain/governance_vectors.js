// Writes governance.json: accounts of SPL Governance, serialised by the official package.
// npm install @solana/spl-governance@0.3.28 && node governance_vectors.js > governance.json
const g = require("@solana/spl-governance");
const { serialize } = require("borsh");
const { PublicKey } = require("@solana/web3.js");
const BN = require("bn.js");
const NOS = new PublicKey("nosXBVoaCTtYdLvKY6Csb4AC8JCdQKKAaWYtx2ZMoo7");
const key = (n) => new PublicKey(Buffer.alloc(32, n));
const rows = [];
function add(name, account, type) {
  const data = serialize(g.getGovernanceSchemaForAccount(type), account);
  rows.push({ name, data: Buffer.from(data).toString("base64") });
}
function proposal(name, o) {
  const p = new g.Proposal({
    accountType: 14, governance: key(2), governingTokenMint: NOS, state: o.state, tokenOwnerRecord: key(4),
    signatoriesCount: 1, signatoriesSignedOffCount: 1, descriptionLink: o.link, name: o.title,
    voteType: o.vote, options: o.options.map(([label, weight]) => new g.ProposalOption({ label, voteWeight: new BN(weight), voteResult: 0, instructionsExecutedCount: 0, instructionsCount: 0, instructionsNextIndex: 0 })),
    denyVoteWeight: o.deny === null ? null : new BN(o.deny), reserved1: 0, abstainVoteWeight: o.abstain ?? null, startVotingAt: o.start ?? null,
    draftAt: new BN(1790000000), signingOffAt: null, votingAt: o.voting ? new BN(o.voting) : null, votingAtSlot: o.voting ? new BN(5) : null, votingCompletedAt: o.completed ? new BN(o.completed) : null,
    executingAt: null, closedAt: null, executionFlags: 0, maxVoteWeight: o.max ? new BN(o.max) : null, maxVotingTime: o.time ?? null,
    voteThreshold: o.threshold ?? null, reserved: new Uint8Array(64), vetoVoteWeight: new BN(0),
  });
  p.reserved = Array.from(new Uint8Array(64));
  add(name, p, 14);
}
const yes = new g.VoteThreshold({ type: 0, value: 60 });
proposal("voting", { state: 2, title: "NNP-0013: Raise the least stake", link: "https://forum.example/13", vote: g.VoteType.SINGLE_CHOICE, options: [["Approve", "123456789012"]], deny: "1000000", voting: 1790000100 });
proposal("many", { state: 2, title: "Which card next?", link: "", vote: g.VoteType.MULTI_CHOICE(0, 1, 2, 2), options: [["RTX 5090", "7"], ["H200", "18446744073709551615"], ["none", "0"]], deny: "0", voting: 1790000200, time: 86400, threshold: yes, max: "99", start: null });
proposal("draft", { state: 0, title: "Ünicode 提案", link: "x", vote: g.VoteType.SINGLE_CHOICE, options: [["Approve", "0"]], deny: "0" });
proposal("done", { state: 5, title: "Old", link: "y", vote: g.VoteType.SINGLE_CHOICE, options: [["Approve", "5"]], deny: "6", voting: 1780000000, completed: 1780100000, threshold: yes, max: "1000" });
proposal("survey", { state: 2, title: "Survey", link: "z", vote: g.VoteType.SINGLE_CHOICE, options: [["A", "1"]], deny: null, voting: 1790000300 });
const config = new g.GovernanceConfig({
  communityVoteThreshold: yes, minCommunityTokensToCreateProposal: new BN(1000), minInstructionHoldUpTime: 0, baseVotingTime: 259200,
  communityVoteTipping: 0, councilVoteThreshold: new g.VoteThreshold({ type: 2 }), councilVetoVoteThreshold: new g.VoteThreshold({ type: 0, value: 55 }), minCouncilTokensToCreateProposal: new BN(1),
  councilVoteTipping: 0, communityVetoVoteThreshold: new g.VoteThreshold({ type: 2 }), votingCoolOffTime: 43200, depositExemptProposalCount: 10,
});
const gov = new g.Governance({ realm: key(1), governedAccount: key(5), config, reserved: null, proposalCount: 3, accountType: 18, activeProposalCount: new BN(2) });
gov.reserved = Array.from(new Uint8Array(120));
try { add("governance", gov, 18); } catch (e) { console.error("gov", e.message); }
const realmConfig = new g.RealmConfig({ useCommunityVoterWeightAddin: 0, useMaxCommunityVoterWeightAddin: 0,  councilMint: null, communityMintMaxVoteWeightSource: g.MintMaxVoteWeightSource.FULL_SUPPLY_FRACTION, minCommunityTokensToCreateGovernance: new BN(5), reserved: Array(6).fill(0) , legacy1: 0, legacy2: 0});
const realm = new g.Realm({ communityMint: NOS, config: realmConfig, reserved: Array(6).fill(0), votingProposalCount: 2, authority: null, name: "Nosana", accountType: 16 });
for (const f of [["r", realm, 16]]) { try { f[1].config.councilMint = null; f[1].config.useCommunityVoterWeightAddin=0; f[1].config.useMaxCommunityVoterWeightAddin=0; f[1].config.reserved=Array(6).fill(0); f[1].reserved=Array(6).fill(0); f[1].authority = null; f[1].accountType = f[2]; add("realm", f[1], f[2]); } catch (e) { console.error("realm", e.message); } }
const tor = new g.TokenOwnerRecord({ realm: key(1), governingTokenMint: NOS, governingTokenOwner: key(9), governingTokenDepositAmount: new BN("42000000"), unrelinquishedVotesCount: 1, outstandingProposalCount: 0, reserved: Array(6).fill(0), governanceDelegate: null, accountType: 17, version: 1, totalVotesCount: 1 });
try { tor.governanceDelegate=null; tor.reserved=Array(6).fill(0); tor.version=1; tor.totalVotesCount=1; tor.accountType = 17; add("record", tor, 17); } catch (e) { console.error("tor", e.message); }
console.log(JSON.stringify({ made_by: "@solana/spl-governance 0.3.28", accounts: rows }, null, 1));
