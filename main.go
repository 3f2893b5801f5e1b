// Command agentvault runs an AI agent behind a proxy that holds its credentials.
package main

import (
	"os"

	"agentvault/cmd"
)

func main() { os.Exit(cmd.Main(os.Args, cmd.System())) }
