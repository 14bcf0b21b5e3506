//! The famous mistakes, each at the line where it is made. The first nine were all made at once by a sketch
//! of Raft that readers are given to learn from.

crate::mutants! {
    /// Mistakes that Raft can be told to make.
    pub enum Mutant {
        /// An AppendEntries of the node's own term makes it forget its vote: it votes again in the same
        /// term, and two leaders are elected.
        VoteClearedByAppend = "vote-cleared-by-append",
        /// A leader answers commands at the next heartbeat, committed or not: acknowledged writes get
        /// lost.
        AnswerBeforeCommit = "answer-before-commit",
        /// Answers to AppendEntries are booked to the first of the other nodes, whoever sent them:
        /// entries seem to be where they are not, and are committed.
        AnswerBookedToAnother = "answer-booked-to-another",
        /// The log is cut where the entries of a message begin, conflict or not: a late message removes
        /// what the node has acknowledged since. (Raft §5.3 says "if an existing entry conflicts".)
        TruncateOnAppend = "truncate-on-append",
        /// A heartbeat commits up to the end of the follower's own log instead of the last entry that the
        /// leader vouched for: a divergent tail is applied. (Raft Figure 2: "index of last new entry".)
        CommitOwnTail = "commit-own-tail",
        /// The commit index is the middle of the sorted match indexes: in a cluster of even size, half of
        /// the nodes commit.
        HalfCommits = "half-commits",
        /// Nothing is written to disk: a node that restarts votes again and has forgotten what it
        /// acknowledged.
        NothingDurable = "nothing-durable",
        /// A leader that is deposed answers what its clients wait for from its own state: reads are stale,
        /// writes are lost.
        DeposedLeaderAnswers = "deposed-leader-answers",
        /// A leader that is asked for its vote in a higher term takes on the term and goes on leading: two
        /// leaders in a term.
        LeadsOnInHigherTerm = "leads-on-in-higher-term",

        /// Entries of earlier terms are committed by counting replicas: they may still be overwritten.
        /// (Raft §5.4.2, Figure 8.)
        CommitOldTerm = "commit-old-term",
        /// Of two logs the longer one is the more up-to-date, whatever its last term: a leader without
        /// committed entries is elected. (Raft §5.4.1.)
        LongestLogWins = "longest-log-wins",
        /// The entry before those of a message is not looked at: logs with the same last entry differ
        /// before it. (Raft §5.3.)
        NoConsistencyCheck = "no-consistency-check",
        /// Messages of deposed leaders are obeyed: they remove what later leaders have committed. (Raft §5.1.)
        OldLeaderObeyed = "old-leader-obeyed",
        /// Answers to AppendEntries of an earlier term count: the log has changed since. (Raft §5.1.)
        AnswerOfOldTermCounts = "answer-of-old-term-counts",
        /// A vote for an earlier term counts for this one. (Raft §5.2.)
        OldVotesCount = "old-votes-count",
        /// A vote that arrives twice is counted twice: two leaders. (coyote-samples #8.)
        VotesCountedTwice = "votes-counted-twice",
        /// A vote leaves before it is durable: a node that crashes then votes twice. (hashicorp/raft #661
        /// is a relative.)
        VoteBeforeDurable = "vote-before-durable",
        /// A vote is cleared, and then the term raised: after a crash between the two the node votes again in
        /// the old term. (hashicorp/raft #661 writes them apart.)
        VoteAndTermApart = "vote-and-term-apart",
        /// A follower acknowledges entries before they are durable: a majority that loses power forgets
        /// what is committed. (etcd #14143.)
        AckBeforeDurable = "ack-before-durable",
        /// A leader counts itself before its own entries are durable: alone it answers, loses power and
        /// has forgotten. (etcd #14370.)
        CommitBeforeDurable = "commit-before-durable",
        /// A log is cut off where a record is damaged, as if what follows had never been written: a node
        /// forgets what it acknowledged. (Alagappan et al., FAST 2018.)
        DamagedLogCutOff = "damaged-log-cut-off",
        /// Repeated commands are applied again. (Thesis §6.3.)
        NoSessions = "no-sessions",
        /// Snapshots leave out the clients' sessions: a repetition is applied again after a restart.
        /// (Thesis §6.3.)
        SessionsLostInSnapshot = "sessions-lost-in-snapshot",

        /// A node asks for votes without asking first whether it would win: one that was cut off deposes
        /// a leader when it comes back. (Thesis §9.6; Howard & Abraham 2020.)
        NoPreVote = "no-pre-vote",
        /// A leader that hears from nobody stays one: nobody else is elected while its heartbeats arrive.
        /// (Thesis §6.2; Cloudflare 2020.)
        NoCheckQuorum = "no-check-quorum",

        /// Reads are answered from the leader's state, without making sure that it still is one: stale.
        /// (Thesis §6.4; Jepsen: etcd and Consul, 2014.)
        LocalRead = "local-read",
        /// A new leader answers reads before it has committed an entry of its term: it does not know yet
        /// what is committed. (Thesis §6.4.)
        ReadBeforeNoop = "read-before-noop",
        /// A lease counts from when a quorum has answered, not from when it was asked: it outlives the
        /// followers' patience. (Thesis §6.4.1.)
        LeaseFromAnswer = "lease-from-answer",
        /// A lease is as long as the election timeout, as if all clocks ran alike: reads are stale where
        /// they do not. (Thesis §6.4.1.)
        LeaseWithoutMargin = "lease-without-margin",
        /// A leader that hands over keeps its lease: the next one is elected under it. (Thesis §6.4.1.)
        LeaseAfterTransfer = "lease-after-transfer",
        /// A node that restarts votes at once, though it may have promised a leader not to. (Gray &
        /// Cheriton 1989, §4.)
        LeaseForgottenAtRestart = "lease-forgotten-at-restart",

        /// A snapshot says that it covers one entry more than it does: that entry is never applied.
        /// (redis-raft #43.)
        SnapshotOffByOne = "snapshot-off-by-one",
        /// Snapshots leave out who the members are. (redis-raft #44.)
        ConfigLostInCompaction = "config-lost-in-compaction",
        /// A snapshot that covers only a part of the log replaces all of it: acknowledged entries are
        /// gone. (Raft §7: "retain log entries following it".)
        SnapshotDropsTail = "snapshot-drops-tail",
        /// A snapshot that is older than what was applied is installed: the state goes back. (Raft §7.)
        OldSnapshotInstalled = "old-snapshot-installed",
        /// Chunks are put together in the order in which they arrive. (Raft §7, Figure 13: the offset.)
        ChunksAsTheyCome = "chunks-as-they-come",

        /// A membership change is taken before an entry of the leader's own term is committed: two
        /// leaders change the same old set, into sets without a common majority. (Ongaro, raft-dev, 2015.)
        ChangeBeforeNoop = "change-before-noop",
        /// A membership change is taken while the one before is not committed. (Thesis §4.1.)
        OverlappingChanges = "overlapping-changes",
        /// Any number of voters is replaced in one step: old and new majorities need not meet. (Raft §6,
        /// Figure 10.)
        NoJointConsensus = "no-joint-consensus",
        /// Members take part in elections and quorums only once the entry that says so is committed.
        /// (Raft §6: "uses the latest configuration in its log".)
        ConfigOnCommit = "config-on-commit",
        /// Members that a removed entry had made stay members. (Raft §6.)
        ConfigNotRolledBack = "config-not-rolled-back",
        /// Learners count in quorums as if they voted: an entry that too few voters have is committed.
        /// (Thesis §4.2.1.)
        LearnersCount = "learners-count",
        /// Answers that a node gave before it was removed and added again count for what it holds now.
        /// (drmingdrmer/raft-rejoin-bug.)
        AnswerOfFormerMember = "answer-of-former-member",
    }
}
