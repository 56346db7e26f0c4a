package redistest

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const slots = 16384 // of every cluster

// StartCluster starts a cluster of three servers and returns their addresses.
func StartCluster(t testing.TB, program string) []string {
	t.Helper()
	ctx := context.Background()
	var addrs []string
	var nodes []*redis.Client
	for i := range 3 {
		// A node that is slow isn't taken for dead.
		s := Start(t, program, "--cluster-enabled", "yes", "--cluster-port", anotherPort,
			"--cluster-node-timeout", strconv.Itoa(int(startLimit.Milliseconds())))
		node := s.Client()
		err := node.ClusterAddSlotsRange(ctx, i*slots/3, (i+1)*slots/3-1).Err()
		if err == nil && i > 0 {
			host, port, _ := net.SplitHostPort(s.Addr)
			err = nodes[0].Do(ctx, "cluster", "meet", host, port, s.port).Err()
		}
		if err != nil {
			t.Fatal(err)
		}
		addrs, nodes = append(addrs, s.Addr), append(nodes, node)
	}
	limit := time.Now().Add(startLimit)
	for _, node := range nodes {
		for !isWhole(ctx, node) {
			if time.Now().After(limit) {
				t.Fatal("the cluster doesn't come together")
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return addrs
}

// isWhole reports whether a node knows who has each slot.
func isWhole(ctx context.Context, node *redis.Client) bool {
	info, err := node.ClusterInfo(ctx).Result()
	return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3")
}
