// Command probe is what tests of the cluster itself run in pods: it answers, asks, writes, reads and burns.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

var commands = map[string]func(argument string) error{
	"serve":   serve,
	"resolve": resolve,
	"get":     get,
	"write":   write,
	"read":    read,
}

func main() {
	if len(os.Args) != 3 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: probe serve ADDRESS | resolve NAME | get URL | write PATH | read PATH")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve answers with this pod's name; /burn keeps one core busy for a second before it does.
func serve(address string) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	fmt.Println("serving as", name)
	answer := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, name) }
	http.HandleFunc("/", answer)
	http.HandleFunc("/burn", func(w http.ResponseWriter, r *http.Request) {
		for end := time.Now().Add(time.Second); time.Now().Before(end); {
		}
		answer(w, r)
	})
	return http.ListenAndServe(address, nil)
}

func resolve(name string) error {
	addresses, err := net.LookupHost(name)
	fmt.Println(strings.Join(addresses, " "))
	return err
}

func get(url string) error {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}

// write makes a file and says who owns it.
func write(path string) error {
	if err := os.WriteFile(path, []byte("written\n"), 0o640); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	fmt.Printf("%d:%d\n", owner.Uid, owner.Gid)
	return nil
}

func read(path string) error {
	content, err := os.ReadFile(path)
	fmt.Print(string(content))
	return err
}
