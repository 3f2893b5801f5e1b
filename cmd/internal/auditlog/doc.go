// Package auditlog answers questions about past sessions from their logs: which there
// are, what was called, grouped and filtered, as a table, JSON, CSV or HAR; whether a log
// is whole; and which may be thrown away.
//
// A log is one file, <session>.jsonl, in the folder of Dir, with its head beside it; its
// lines are described in package event. Questions are about calls: the start and the end
// of one are joined first, and a filter sees both. Everything that is printed for people
// is escaped. A log that is written to meanwhile can be read all the time.
package auditlog
