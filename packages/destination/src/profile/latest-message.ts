// SPDX-License-Identifier: Apache-2.0
/*
 * The latest message of something watched, for many streams: a new subscriber gets it at once, all get each new one, and one that equals the
 * last is not sent (control-contract §1.8, dedup). Encoded once, whatever the number of streams.
 */
import { toBinary } from '@bufbuild/protobuf';
import { EncodedMessage } from '@weft/grpc-server';
import { destination } from '@weft/proto';

import type { SharedSeries } from '../metrics.ts';

/** A DestinationProfile in wire form. */
export type EncodedProfile = EncodedMessage<typeof destination.DestinationProfileSchema>;

/** Takes profiles. */
export interface ProfileSubscriber {
  publish(profile: EncodedProfile): void;
}

/** A profile, and who wants to know of it. */
export class LatestProfile {
  private readonly subscribers = new Set<ProfileSubscriber>();
  private readonly series: SharedSeries;
  private latest: EncodedProfile | undefined = undefined;

  constructor(series: SharedSeries) {
    this.series = series;
  }

  get hasSubscribers(): boolean {
    return this.subscribers.size > 0;
  }

  /** Publishes `profile` unless it equals the latest. */
  set(profile: destination.DestinationProfile): void {
    const bytes = toBinary(destination.DestinationProfileSchema, profile);
    if (this.latest !== undefined && Buffer.compare(this.latest.bytes, bytes) === 0) return;
    const encoded: EncodedProfile = new EncodedMessage(bytes);
    this.latest = encoded;
    this.series.updated();
    for (const subscriber of this.subscribers) subscriber.publish(encoded);
  }

  /** Adds a subscriber and gives it the latest message, if there is one. Returns its removal. */
  subscribe(subscriber: ProfileSubscriber): () => void {
    this.subscribers.add(subscriber);
    this.series.changed(this.subscribers.size, 0);
    if (this.latest !== undefined) subscriber.publish(this.latest);
    return () => {
      this.subscribers.delete(subscriber);
      if (this.subscribers.size > 0) this.series.changed(this.subscribers.size, 0);
      else this.series.ended();
    };
  }
}
