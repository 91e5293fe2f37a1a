//! The words rooms exchange: signals of a tile, order intents, fills, ends of orders, marks, and who is told of them.

use barloom_kernels::fills::SignalMasks;

pub use crate::liquidity::Regime;
use crate::market::Tile;

/// Signals of one trial over one tile. Masks are `[row][word]`, bit = symbol id; a missing mask is all zero.
///
/// Levels, read at each close (contract 4): the engine turns them into orders for the next open.
#[derive(Clone, Copy, Default)]
pub struct SignalTile<'a> {
    /// Long entry is true at this close.
    pub long_entry: Option<&'a [u64]>,
    /// Long exit is true at this close.
    pub long_exit: Option<&'a [u64]>,
    /// Short entry is true at this close.
    pub short_entry: Option<&'a [u64]>,
    /// Short exit is true at this close.
    pub short_exit: Option<&'a [u64]>,
    /// Values that are needed only where something is decided.
    pub values: Option<&'a dyn PointValues>,
    /// Explicit orders decided in this tile, sorted by `(bar, order_id)`.
    pub intents: &'a [OrderIntent],
    /// Nothing of this trial ever carries a trailing stop, so that no water marks need be kept.
    pub never_trails: bool,
}

impl<'a> SignalTile<'a> {
    /// The levels, as masks.
    #[inline]
    pub fn masks(&self) -> SignalMasks<'_> {
        let Self { long_entry, long_exit, short_entry, short_exit, .. } = *self;
        SignalMasks { long_entry, long_exit, short_entry, short_exit }
    }
    /// [`PointValues::stop_distances`], where there are values.
    #[inline]
    pub fn stop_distances(&self) -> Option<(usize, &'a [f64])> {
        self.values.and_then(PointValues::stop_distances)
    }
}

/// Values a signal gives for one decision; read only at closes where an entry is decided.
pub trait PointValues {
    /// Stop loss, take profit and trailing stop of an entry decided at `row` of the tile.
    fn attached_levels(&self, tile: &Tile<'_>, row: usize, symbol: usize, side: Side) -> AttachedLevels;
    /// How an entry decided at `row` of the tile asks for its price. The order lives `execution.entry_ttl_bars`.
    fn entry_order(&self, _tile: &Tile<'_>, _row: usize, _symbol: usize, _side: Side) -> EntryOrder {
        EntryOrder::Market
    }
    /// The distances of all stop losses, where a stop loss is all that an entry carries and they are at hand anyway: a
    /// panel `[row][lane]` over the tile, and its number. `None` only means that entries are asked one by one.
    fn stop_distances(&self) -> Option<(usize, &[f64])> {
        None
    }
    /// Tag of the signal at `row` of the tile: an index into the run's tag table, or [`NO_TAG`].
    fn tag(&self, _tile: &Tile<'_>, _row: usize, _symbol: usize) -> u32 {
        NO_TAG
    }
}

/// Stop loss, take profit and trailing stop that an entry carries (semantics 2.12).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attached {
    /// Stop-loss trigger price, USDT; `NaN`: none.
    pub stop_loss_px: f64,
    /// Take-profit price, USDT; `NaN`: none.
    pub take_profit_px: f64,
    /// Distance of a trailing stop from its high-water mark, USDT; `NaN`: none.
    pub trail_px: f64,
    /// How far price must run beyond the entry before the stop trails, USDT; `NaN`: at once.
    pub activation_px: f64,
}

impl Attached {
    /// No levels.
    pub const NONE: Self = Self {
        stop_loss_px: f64::NAN,
        take_profit_px: f64::NAN,
        trail_px: f64::NAN,
        activation_px: f64::NAN,
    };
    /// Whether any level is there.
    #[inline]
    pub fn any(&self) -> bool {
        !self.stop_loss_px.is_nan() || !self.take_profit_px.is_nan() || !self.trail_px.is_nan()
    }
}

/// How an entry that comes from masks is ordered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EntryOrder {
    /// At the next open.
    Market,
    /// A limit order at this price, USDT, positive; not post-only. Of a flip it is the one order with both legs.
    Limit(f64),
}

/// What a signal says about the levels of an entry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AttachedLevels {
    /// These.
    Prices(Attached),
    /// The rule gave no usable distance (`NaN` or ≤ 0): the entry is rejected with this reason.
    Rejected(&'static str),
}

/// Buy or sell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// +1.
    Buy,
    /// −1.
    Sell,
}

impl Side {
    /// `s` of the semantics: +1 for a buy, −1 for a sell.
    #[inline]
    pub fn sign(self) -> f64 {
        // 1 with the sign bit of its place: which side a fill is on cannot be predicted, so it is no branch.
        f64::from_bits(1.0_f64.to_bits() | (self as u64) << 63)
    }
    /// The other side.
    #[inline]
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
    /// `BUY` or `SELL`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "BUY",
            Self::Sell => "SELL",
        }
    }
}

/// An explicit order (contract 3, `signals.kind = "orders"`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OrderIntent {
    /// Bar whose close decided it, counted on the market's grid.
    pub bar: u32,
    /// Symbol id.
    pub symbol: u32,
    /// Order id: the row of the table.
    pub order_id: u32,
    /// Order type.
    pub kind: OrderKind,
    /// Side.
    pub side: Side,
    /// Quantity in base units; `NaN`: sizing decides.
    pub qty: f64,
    /// Price of a limit order, trigger of a stop and a stop-limit order, USDT; `NaN` for a market order.
    pub price_px: f64,
    /// Limit price of a stop-limit order, USDT; `NaN` otherwise.
    pub limit_px: f64,
    /// Levels that a fill which increases the position sets.
    pub attached: Attached,
    /// Life in bars after the decision; 0: unlimited.
    pub ttl_bars: u32,
    /// May only reduce a position.
    pub reduce_only: bool,
    /// Closes the whole position whatever its size.
    pub close_position: bool,
    /// A limit order that is refused rather than filled as taker on arrival (GTX).
    pub post_only: bool,
    /// Orders of one group: the first fill of one cancels the others; [`NO_GROUP`]: none.
    pub oco_group: u32,
    /// Index into the run's tag table; `u32::MAX`: none.
    pub tag: u32,
}

/// Order types (semantics 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderKind {
    /// At the next open.
    Market,
    /// At its price or better.
    Limit,
    /// A market order once its trigger is touched.
    Stop,
    /// A limit order once its trigger is touched.
    StopLimit,
}

impl OrderKind {
    /// Name in the artifacts and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::Limit => "limit",
            Self::Stop => "stop",
            Self::StopLimit => "stop_limit",
        }
    }
}

/// No OCO group.
pub const NO_GROUP: u32 = u32::MAX;

/// Id of orders the engine makes itself (stop losses, settlements).
pub const NO_ORDER: u32 = u32::MAX;
/// No tag.
pub const NO_TAG: u32 = u32::MAX;

/// Why a fill got its price (contract 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FillReason {
    /// Market order that opens, adds or flips.
    MarketEntry,
    /// Market order that reduces or closes.
    MarketExit,
    /// Limit order that rested.
    LimitMaker,
    /// Limit order that was marketable.
    LimitTaker,
    /// Stop order, trigger traded through inside the bar.
    StopEntry,
    /// Stop order, bar opened beyond its trigger.
    StopEntryGap,
    /// Stop loss, trigger traded through inside the bar.
    StopLoss,
    /// Stop loss, bar opened beyond it.
    StopLossGap,
    /// Stop loss of a position opened in the same bar.
    StopLossEntryBar,
    /// Stop that only a trail has set, at the open or inside the bar.
    Trail,
    /// Take profit inside the bar.
    TakeProfit,
    /// Take profit that the open had already passed.
    TakeProfitOpen,
    /// Take profit that was marketable when it arrived.
    TakeProfitMarketable,
    /// Liquidation at maintenance margin.
    Liquidation,
    /// Trimmed by the margin guard.
    MarginTrim,
    /// Closed before a funding settlement.
    FundingExit,
    /// Settlement at a known delisting.
    Delist,
    /// Settlement of a series that ended.
    SeriesEnd,
    /// Closed because the run ended.
    EndOfRun,
}

impl FillReason {
    /// Name in the artifacts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MarketEntry => "market_entry",
            Self::MarketExit => "market_exit",
            Self::LimitMaker => "limit_maker",
            Self::LimitTaker => "limit_taker",
            Self::StopEntry => "stop_entry",
            Self::StopEntryGap => "stop_entry_gap",
            Self::Trail => "trail",
            Self::Liquidation => "liquidation",
            Self::MarginTrim => "margin_trim",
            Self::FundingExit => "funding_exit",
            Self::StopLoss => "sl",
            Self::StopLossGap => "sl_gap",
            Self::StopLossEntryBar => "sl_entry_bar",
            Self::TakeProfit => "tp",
            Self::TakeProfitOpen => "tp_open",
            Self::TakeProfitMarketable => "tp_marketable",
            Self::Delist => "delist",
            Self::SeriesEnd => "series_end",
            Self::EndOfRun => "end_of_run",
        }
    }
}

/// Maker or taker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liquidity {
    /// Resting order.
    Maker,
    /// Crossing order.
    Taker,
}

/// What a fill's price or size hung on; several may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FillFlags(pub u16);

impl FillFlags {
    /// The bar opened beyond the level.
    pub const GAPPED: Self = Self(1);
    /// A stop that was run inside the bar.
    pub const STOP_RUN: Self = Self(1 << 1);
    /// The participation cap cut the quantity.
    pub const VOLUME_CAPPED: Self = Self(1 << 2);
    /// Stop loss and take profit were both reachable in the bar: the policy decided.
    pub const STOP_AND_TARGET: Self = Self(1 << 3);
    /// The position was entered in the same bar.
    pub const ENTRY_AND_EXIT: Self = Self(1 << 4);
    /// Decided or settled on a mark that was carried over missing bars.
    pub const STALE_MARK: Self = Self(1 << 5);
    /// In a THIN bar.
    pub const THIN: Self = Self(1 << 6);
    /// In a VACUUM bar.
    pub const VACUUM: Self = Self(1 << 7);

    /// Flags and their names in the artifacts, in the order they are written.
    pub const NAMES: [(Self, &'static str); 8] = [
        (Self::GAPPED, "gapped"),
        (Self::STOP_RUN, "stop_run"),
        (Self::VOLUME_CAPPED, "volume_capped"),
        (Self::STOP_AND_TARGET, "stop_and_target"),
        (Self::ENTRY_AND_EXIT, "entry_and_exit"),
        (Self::STALE_MARK, "stale_mark"),
        (Self::THIN, "thin"),
        (Self::VACUUM, "vacuum"),
    ];

    /// Whether all of `other` hold.
    #[inline]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
    /// These and `other`, where `on`.
    #[inline]
    #[must_use]
    pub fn with(self, other: Self, on: bool) -> Self {
        Self(self.0 | if on { other.0 } else { 0 })
    }
}

/// One execution, after it changed the account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fill {
    /// Bar in which it happened.
    pub bar: u32,
    /// Symbol id.
    pub symbol: u32,
    /// Order id, or [`NO_ORDER`].
    pub order_id: u32,
    /// Side.
    pub side: Side,
    /// Quantity, base units, positive.
    pub qty: f64,
    /// Fill price, USDT.
    pub price: f64,
    /// Price before slippage and rounding, after overshoot.
    pub base_px: f64,
    /// Trigger of a stop, or price of a liquidation, that the base is measured against, USDT; `NaN` where the price
    /// hung on none. What lies between the two is overshoot.
    pub trigger_px: f64,
    /// Maker or taker.
    pub liquidity: Liquidity,
    /// Fee, USDT; positive is a cost.
    pub fee_usdt: f64,
    /// Slippage applied, bps.
    pub slippage_bps: f64,
    /// Participation π; `NaN` where no volume was read or the reference volume is 0.
    pub participation: f64,
    /// Why it got its price.
    pub reason: FillReason,
    /// What its price and size hung on.
    pub flags: FillFlags,
    /// Regime of the bar before, which drives slippage; `None` where regimes are off.
    pub regime: Option<Regime>,
    /// Realised PnL of the closed part, USDT.
    pub realized_usdt: f64,
    /// Position before, base units, signed.
    pub position_before: f64,
    /// Position after.
    pub position_after: f64,
    /// Average entry before (0 when flat).
    pub avg_entry_before: f64,
    /// Average entry after (0 when flat).
    pub avg_entry_after: f64,
    /// Tag index, or [`NO_TAG`].
    pub tag: u32,
}

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStatus {
    /// Executed in full.
    Filled,
    /// Never admitted; the reason says why.
    Rejected,
    /// Withdrawn; the reason says why.
    Cancelled,
    /// Its time to live ended.
    Expired,
    /// Decided on the last bar.
    NeverActive,
    /// Still waiting when the run ended.
    Open,
}

impl OrderStatus {
    /// Name in the artifacts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filled => "filled",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::NeverActive => "never_active",
            Self::Open => "open",
        }
    }
}

/// An order and its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OrderEnd {
    /// Order id: the table's row, or a running number for orders that come from masks.
    pub order_id: u32,
    /// Bar whose close decided it.
    pub bar: u32,
    /// Bar in which it ended.
    pub end_bar: u32,
    /// Symbol id.
    pub symbol: u32,
    /// Type.
    pub kind: OrderKind,
    /// Limit price or trigger, USDT, as rounded; `NaN` for a market order.
    pub price_px: f64,
    /// Side.
    pub side: Side,
    /// Quantity asked for, base units (`NaN` when sizing gave none).
    pub qty: f64,
    /// Life in bars; 0: unlimited.
    pub ttl_bars: u32,
    /// How it ended.
    pub status: OrderStatus,
    /// Reason code, empty when filled.
    pub reason: &'static str,
    /// Tag index, or [`NO_TAG`].
    pub tag: u32,
}

/// One funding settlement that moved the wallet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FundingPayment {
    /// Bar in whose open phase it settled.
    pub bar: u32,
    /// Symbol id.
    pub symbol: u32,
    /// Index of the record on the market's tape.
    pub record: u32,
    /// Signed change of the wallet, USDT.
    pub cash_usdt: f64,
}

impl FundingPayment {
    /// No payment: what a buffer holds before its first one.
    pub(crate) const NONE: Self = Self { bar: 0, symbol: 0, record: 0, cash_usdt: 0.0 };
}

/// What the insurance fund paid in when a wallet without positions was below 0 (semantics 4.7).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Insurance {
    /// Bar.
    pub bar: u32,
    /// Symbol whose liquidation came last.
    pub symbol: u32,
    /// Paid in, USDT, positive.
    pub amount_usdt: f64,
    /// Whether the account ended here, with nothing left; a loss beyond the margin of an isolated position is made good
    /// without that.
    pub ruins: bool,
}

/// Marks of one account over consecutive bars, one value per bar.
#[derive(Debug, Clone, Copy)]
pub struct MarkRows<'a> {
    /// First bar.
    pub bar0: usize,
    /// Wallet at the close, USDT.
    pub wallet_usdt: &'a [f64],
    /// Unrealised PnL at the close, USDT.
    pub unrealized_usdt: &'a [f64],
    /// Equity at the close: wallet + unrealised, USDT.
    pub equity_usdt: &'a [f64],
    /// Σ|q|·M, USDT.
    pub gross_usdt: &'a [f64],
    /// Σq·M, USDT.
    pub net_usdt: &'a [f64],
    /// Symbols with a position.
    pub positions: &'a [u32],
    /// ΣIM, USDT; empty where margin is off.
    pub initial_margin_usdt: &'a [f64],
    /// ΣMM, USDT; empty where margin is off.
    pub maintenance_margin_usdt: &'a [f64],
    /// Largest margin ratio of isolated positions; empty where one wallet stands behind all.
    pub isolated_ratio: &'a [f64],
}

/// Receives what happens to one account, in event order; the bar loop is generic over it.
///
/// Events of a tile arrive one by one; then the marks of the tile's bars arrive at once. Settlements and the closing
/// of positions at the end of the run are fills like any other.
pub trait Recorder {
    /// A fill was booked.
    fn fill(&mut self, fill: &Fill);
    /// Funding was booked.
    fn funding(&mut self, payment: &FundingPayment);
    /// The insurance fund paid.
    fn insurance(&mut self, payment: &Insurance);
    /// An order ended. Only called when [`Recorder::WANTS_ORDERS`].
    fn order_end(&mut self, end: &OrderEnd);
    /// The account was marked at these bars.
    fn marks(&mut self, rows: &MarkRows<'_>);
    /// Whether order ends, and margins at every close, are wanted; a sweep does without.
    const WANTS_ORDERS: bool;
    /// Whether the ids of orders are read; fills of a recorder that does not read them may be without.
    const READS_ORDER_IDS: bool = true;
}
