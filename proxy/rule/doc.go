// Package rule decides which service a call belongs to and whether that service lets
// it through: host, port, method and path in, one Match out.
//
// It is pure: no HTTP types, no secrets, no I/O, and beside the standard library only the Go project's tables for international names. A Set
// never changes after New and is safe for concurrent use.
//
// # Which service
//
// Most specific wins, in this order: an exact host before a wildcard; a port before
// none before any; the longest literal path; of two with equal literals the one with
// fewer `**`, then the one with more segments. Two services that are equal in all of
// that and can both match one call are a TieError of New, never a coin toss.
//
// # Which operations
//
// A rule of deny wins over everything. What is left is covered where allow names it, or
// where there is no allow list; and where a rule of ask names it as well, Match.Ask says
// that the human has to be asked first.
//
// Where a protocol takes many operations at one path, a rule may name one. It is decided by
// what the caller says that the call asks for (Asked). Where that cannot be told for
// certain, such a rule of allow does not hold and such a rule of deny or ask does. Of several
// operations in one call each has to be allowed, and one that is denied denies the call.
//
// # Paths
//
// A request's path is matched in every way in which a common origin could read it (see
// Readings). Where the readings lead to different decisions the answer is Ambiguous,
// which the caller refuses: the rules must never hold one opinion of a path and the
// origin another. The query takes no part.
package rule
