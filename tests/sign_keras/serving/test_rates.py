from sign_keras.serving import rates
from sign_keras.serving.rates import TokenBucket, TokenBuckets


def test_a_burst_goes_through_and_then_the_rate():
    now = [0.0]
    bucket = TokenBucket(rate=2, burst=3, clock=lambda: now[0])
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    assert bucket.wait_seconds == 1
    now[0] = 0.6
    assert [bucket.take() for _ in range(2)] == [True, False]
    now[0] = 100.0
    assert sum(bucket.take() for _ in range(10)) == 3


def test_addresses_do_not_share_a_bucket_and_are_forgotten(monkeypatch):
    monkeypatch.setattr(rates, "MOST_ADDRESSES", 3)
    buckets = TokenBuckets(rate=0.001, burst=1)
    assert buckets.of("a").take()
    assert not buckets.of("a").take()
    assert buckets.of("b").take()
    for address in "cde":
        buckets.of(address)
    assert len(buckets) == 3
    assert buckets.of("a").take()
