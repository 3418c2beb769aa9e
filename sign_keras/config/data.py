"""Reading, augmenting and mixing records."""

import pydantic

from sign_keras.config.keypoint_augment import KeypointAugmentConfig
from sign_keras.config.no_sign import NoSignConfig
from tfrecords_tools.settings import Settings


class AugmentConfig(Settings):
    """Training-time changes to a clip: one draw per clip, the same for all its frames and keypoints.

    Every step is off at 0 and then costs nothing; ``docs/augmentation.md`` shows each.

    Attributes:
        temporal_jitter: 0 takes the middle of each of the T equal parts of a clip, 1 anywhere within.
        speed: the T frames cover ``[1 - speed, 1 + speed]`` of the span that they usually do, at a random place:
            less makes signing slower and cuts it, more makes it faster and holds the clip's ends.
        shift: what they cover is moved in time by up to this share of itself, to either side.
        zoom: the window's side is drawn from ``[1 - zoom, 1]`` of the frame's, and its place at random.
        aspect: the window's width over its height is drawn from ``[1 / (1 + aspect), 1 + aspect]``.
        rotation: degrees, drawn from ``[-rotation, rotation]``.
        mirror: chance of swapping left and right. Off by default: handedness may carry meaning.
        blur: standard deviation of a Gaussian, in pixels of the model's frame, drawn from ``[0, blur]``.
        brightness: shift drawn from ``[-brightness, brightness]`` of the full range.
        contrast: factor drawn from ``[1 - contrast, 1 + contrast]``.
        saturation: likewise, 0 being grey.
        hue: shift drawn from ``[-hue, hue]`` turns of the colour circle.
        consistent: false draws all but the choice of frames anew for every frame, which tears movement apart: to
            measure what consistency is worth. It is slower.
    """

    temporal_jitter: float = pydantic.Field(1.0, ge=0, le=1)
    speed: float = pydantic.Field(0.0, ge=0, le=0.5)
    shift: float = pydantic.Field(0.0, ge=0, le=0.5)
    zoom: float = pydantic.Field(0.0, ge=0, lt=1)
    aspect: float = pydantic.Field(0.0, ge=0, le=1)
    rotation: float = pydantic.Field(0.0, ge=0, le=45)
    mirror: float = pydantic.Field(0.0, ge=0, le=1)
    blur: float = pydantic.Field(0.0, ge=0, le=5)
    brightness: float = pydantic.Field(0.0, ge=0, lt=1)
    contrast: float = pydantic.Field(0.0, ge=0, lt=1)
    saturation: float = pydantic.Field(0.0, ge=0, lt=1)
    hue: float = pydantic.Field(0.0, ge=0, le=0.5)
    consistent: bool = True

    @property
    def changes_pictures(self) -> bool:
        """False where only the choice of frames varies: the warp, six times the decoding, is then spared."""
        in_time = {name: getattr(self, name) for name in ("temporal_jitter", "speed", "shift", "consistent")}
        return self != AugmentConfig(**in_time)


class MixConfig(Settings):
    """Training clips made of two; labels are then shares of each gloss. Off while both alphas are 0.

    Sources: mixup: Zhang et al. 2018, arXiv:1710.09412. CutMix: Yun et al. 2019, arXiv:1905.04899, and over time
    VideoMix: Yun et al. 2020, arXiv:2012.03457.

    Attributes:
        mixup: alpha of mixup, which blends; 0 never does it.
        cutmix: alpha of CutMix, which pastes one box into all frames; 0 never does it. Where both are on, half of
            the mixed clips get each.
        probability: share of clips that are mixed.
        tube: whether CutMix's box also has a beginning and an end in time.
    """

    mixup: float = pydantic.Field(0.0, ge=0, le=10)
    cutmix: float = pydantic.Field(0.0, ge=0, le=10)
    probability: float = pydantic.Field(1.0, gt=0, le=1)
    tube: bool = False

    @property
    def is_on(self) -> bool:
        """Whether any clip is mixed."""
        return self.mixup > 0 or self.cutmix > 0


class DataConfig(Settings):
    """Reading records.

    Attributes:
        cache: ``none``, ``memory``, or a folder on disk: where parsed records (frames still JPEG) are kept after
            the first epoch.
        shuffle_clips: clips held ready to draw from.
        augment: of the training split alone.
        augment_keypoints: of the training split alone; what happens to keypoints besides.
        mix: of the training split alone; not for models that take keypoints.
        oversample: how far rare glosses catch up with frequent ones in an epoch: 0 leaves the records' frequencies,
            1 gives every gloss as many clips. An epoch stays as long.
        shuffle_labels: a control that must fail: training labels are dealt at random.
        no_sign: a gloss for "no sign", and clips made up for it; null: every answer is a sign.
        unseen_sentences: training leaves out clips whose very sentence the validation or the test split has too,
            so that no sentence can be known by heart; of models that read sentences.
    """

    cache: str = "none"
    shuffle_clips: int = pydantic.Field(1024, ge=1)
    augment: AugmentConfig = AugmentConfig()
    augment_keypoints: KeypointAugmentConfig = KeypointAugmentConfig()
    mix: MixConfig = MixConfig()
    oversample: float = pydantic.Field(0.0, ge=0, le=1)
    shuffle_labels: bool = False
    no_sign: NoSignConfig | None = None
    unseen_sentences: bool = False
