package fanfare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// partitionsAfter is how long a number of partitions that was read is taken for true.
const partitionsAfter = 10 * time.Second

// RedisPublisher publishes with one Redis command (the contract's XADD), over one connection to one
// server; for clusters and sentinels use a Redis library and Key.
type RedisPublisher struct {
	// Prefix is the server's KEY_PREFIX; fanfare by default.
	Prefix string
	// Partitions is how many the streams are cut into; by default (0) the number that the workers
	// have put in force, which Redis holds.
	Partitions int

	address *url.URL
	mu      sync.Mutex
	conn    *redisConn
	inForce int
	readAt  time.Time
}

// NewRedisPublisher makes a publisher for redis[s]://[user:password@]host[:port][/database]. It
// connects with the first publication.
func NewRedisPublisher(address string) (*RedisPublisher, error) {
	parsed, err := url.Parse(address)
	if err != nil || (parsed.Scheme != "redis" && parsed.Scheme != "rediss") || parsed.Host == "" {
		return nil, errors.New("fanfare: the address is not of the form redis://host:port")
	}
	return &RedisPublisher{Prefix: "fanfare", address: parsed}, nil
}

// Publish appends in order and returns the entries' ids. As durable as Redis is. After an error the
// same publications can be published again, if they carry event ids: each is applied once.
func (p *RedisPublisher) Publish(ctx context.Context, publications ...Publication) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ids, err := p.publish(ctx, named(publications))
	var refused redisError
	if err != nil && !errors.As(err, &refused) {
		p.drop()
	}
	return ids, err
}

// Key is the Redis key of a publication: all events of one id go to one of the partitions.
func (p *RedisPublisher) Key(publication Publication, partitions int) string {
	key := p.Prefix + ":" + publication.Stream
	if publication.ID == "" || partitions < 2 {
		return key
	}
	partition := crc32.ChecksumIEEE([]byte(publication.ID)) % uint32(partitions)
	if partition == 0 {
		return key
	}
	return key + ":" + strconv.FormatUint(uint64(partition), 10)
}

// Close closes the connection.
func (p *RedisPublisher) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop()
}

func (p *RedisPublisher) drop() {
	if p.conn != nil {
		_ = p.conn.conn.Close()
		p.conn = nil
	}
}

func (p *RedisPublisher) publish(ctx context.Context, publications []Publication) ([]string, error) {
	if p.conn == nil {
		conn, err := dialRedis(ctx, p.address)
		if err != nil {
			return nil, err
		}
		p.conn = conn
	}
	partitions, err := p.partitions(ctx)
	if err != nil {
		return nil, err
	}
	commands := make([][]string, len(publications))
	for i, one := range publications {
		fields, err := fields(one)
		if err != nil {
			return nil, fmt.Errorf("fanfare: publication %d: %w", i, err)
		}
		commands[i] = append([]string{"XADD", p.Key(one, partitions), "*"}, fields...)
	}
	return p.conn.do(ctx, commands...)
}

func (p *RedisPublisher) partitions(ctx context.Context) (int, error) {
	if p.Partitions > 0 {
		return p.Partitions, nil
	}
	if p.inForce == 0 || time.Since(p.readAt) > partitionsAfter {
		said, err := p.conn.do(ctx, []string{"GET", p.Prefix + ":partitions"})
		if err != nil {
			return 0, err
		}
		p.inForce, _ = strconv.Atoi(said[0])
		if p.inForce < 1 {
			p.inForce = 1
		}
		p.readAt = time.Now()
	}
	return p.inForce, nil
}

// fields are names and values, as an XADD has them.
func fields(one Publication) ([]string, error) {
	data := []byte("{}")
	if one.Data != nil {
		var err error
		if data, err = json.Marshal(one.Data); err != nil {
			return nil, err
		}
	}
	said := []pair{
		{"type", one.Type}, {"id", one.ID}, {"user", one.User}, {"event_id", one.EventID},
		{"lease_ms", digits(one.LeaseMS)}, {"at", digits(one.At)}, {"traceparent", one.Traceparent},
		{"data", string(data)},
	}
	var words []string
	for _, field := range said {
		if field.value != "" {
			words = append(words, field.name, field.value)
		}
	}
	return words, nil
}

func digits(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}
