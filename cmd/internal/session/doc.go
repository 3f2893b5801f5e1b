// Package session is one child: the files it is told to trust, the environment it is
// given, the process itself, and whose socket is whose.
//
//   - Files is a private folder with the session's CA in every form that clients read.
//     It holds public data only: certificates and settings. The CA's key never comes here.
//   - Environ makes the child's environment from the parent's: tables, no decisions of its own.
//   - Child is the process: started, signalled, ended with everything that it left in its group.
//   - Owner asks the kernel whether a connection comes from the child's process tree.
//
// Nothing here knows of proxies, rules or secrets; a placeholder is just a value.
package session
