// Package auditlog answers questions about past sessions from their logs: which there
// are, what was called, grouped and filtered, as a table, JSON, CSV or HAR; whether a log
// is whole; and which may be thrown away.
//
// A log is a file, <session>.jsonl, in a folder for all of them, or where it is large several, with
// its head beside it; its lines are described in package event. The Ledger of the folder
// remembers which logs there were. Questions are about calls: the start and the end
// of one are joined first, and a filter sees both. Everything that is printed for people
// is escaped. A log that is written to meanwhile can be read all the time.
package auditlog
