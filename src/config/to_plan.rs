//! Spec → plan: the one conversion, and the checks that concern more than one key.

use std::collections::BTreeMap;

use super::axes::Axis;
use super::judge::amend;
use super::keys;
use super::plan::{
    ActivityProfile, EnginePlan, ExecutionPlan, FundingBoundary, FundingPlan, LimitRule, LiquidityPlan,
    MarginGuard, MarginPlan, RegimePlan, Seasonality, Sizing, Slippage, VolScale,
};
use super::spec::{
    FundingBoundarySpec, GeneralSpec, LimitRuleSpec, LiquidityRegimesSpec, MarginMode, MarginSpec,
    MarkSource, ProfileSpec, SignalKind, SizingMethod, Spec,
};
use crate::Result;
use crate::error::{BadInput, nearest};

/// Basis points as a fraction.
fn frac(bps: f64) -> f64 {
    bps / 1e4
}

impl Spec {
    /// The plan the engine runs.
    ///
    /// # Errors
    /// A value out of its range, one that this version does not know yet, keys that contradict each other.
    pub fn plan(&self) -> Result<EnginePlan> {
        self.check()?;
        let (costs, execution) = (&self.slippage_costs, &self.execution);
        let (maker_fee_frac, taker_fee_frac) = self.general.fee_fracs();
        Ok(EnginePlan {
            initial_capital_usdt: self.general.initial_capital,
            maker_fee_frac,
            taker_fee_frac,
            use_mark: self.general.mark_source == MarkSource::Mark,
            sizing: self.sizing_plan()?,
            sizing_equity: self.sizing.sizing_equity,
            slippage: Slippage {
                shape: costs.shape,
                a_bps: costs.a_bps,
                b_bps: costs.b_bps,
                vol_scale: costs
                    .vol_scaled
                    .then_some(VolScale { y: costs.vol_y, window_bars: costs.vol_window_bars }),
                min_bps: costs.min_bps,
                max_bps: costs.max_bps,
                stop_mult: costs.stop_slippage_mult,
                volume_ref: costs.volume_ref,
                regime_mult_normal: costs.regime_mult_normal,
                regime_mult_thin: costs.regime_mult_thin,
                regime_mult_vacuum: costs.regime_mult_vacuum,
            },
            execution: ExecutionPlan {
                sequencing: execution.sequencing,
                entry_ttl_bars: execution.entry_ttl_bars,
                participation_cap_frac: execution.participation_cap,
                cap_applies_to: execution.cap_applies_to,
                trail_mode: execution.trail_mode,
                trail_source: execution.trail_source,
                entry_beyond_stop: execution.entry_beyond_stop,
                stale_move_frac: execution.stale_move,
                stop_overshoot: execution.stop_overshoot,
                bracket_policy: execution.bracket_policy,
                limit_rule: match execution.limit_rule {
                    LimitRuleSpec::Through => LimitRule::Through,
                    LimitRuleSpec::Touch => LimitRule::Touch,
                    LimitRuleSpec::TouchProb(p) => LimitRule::TouchProb(p),
                },
                tp_kind: execution.tp_kind,
                clamp_to_bar: execution.clamp_to_bar,
                round_to_tick: execution.round_to_tick,
                split_large: execution.split_large,
                end_of_run: execution.end_of_run,
                delist_haircut_frac: frac(execution.delist_haircut_bps),
                delist_after_missing_bars: execution.delist_after_missing_bars,
            },
            funding: FundingPlan {
                enabled: self.funding.enabled,
                boundary: match self.funding.boundary {
                    FundingBoundarySpec::HeldBefore => FundingBoundary::HeldBefore,
                    FundingBoundarySpec::IncludeOpenFills => FundingBoundary::IncludeOpenFills,
                    FundingBoundarySpec::Pessimistic => FundingBoundary::Pessimistic,
                },
                missing: self.funding.missing,
                window_ms: self.funding_window_ms(),
                close_before_frac: frac(self.funding.close_before_bps),
            },
            liquidity: self.liquidity_regimes.plan(),
            max_stale_bars: self.universe.max_stale_bars,
            margin: self.margin_plan(),
            fee_table: self.general.fee_rows(),
            max_position_notional_usdt: self.risk.max_position_notional,
            seed: self.general.seed,
            check_invariants: self.general.check_invariants,
        })
    }

    fn funding_window_ms(&self) -> Option<(i64, i64)> {
        let funding = &self.funding;
        let on = funding.window_blocks_entries && funding.window_pre_minutes >= 0;
        let ms = |minutes: i32| i64::from(minutes) * 60_000;
        on.then(|| (ms(funding.window_pre_minutes), ms(funding.window_post_minutes)))
    }

    fn margin_plan(&self) -> Option<MarginPlan> {
        let margin = &self.margin;
        let guard = margin.guard.then_some(MarginGuard {
            warn: margin.mr_warn,
            trim: margin.mr_trim,
            target: margin.mr_target,
            order: margin.trim_order,
        });
        (margin.liquidation || margin.guard).then_some(MarginPlan {
            mode: margin.mode,
            max_leverage: margin.max_leverage,
            liquidation: margin.liquidation,
            liq_check: margin.liq_check,
            liq_mode: margin.liq_mode,
            liq_fee_frac: margin.liq_fee_rate,
            guard,
            on_short: margin.on_margin_short,
        })
    }

    fn sizing_plan(&self) -> Result<Sizing> {
        match self.sizing.method {
            SizingMethod::FixedNotional => Ok(Sizing::FixedNotional { notional_usdt: self.sizing.notional }),
            SizingMethod::FixedFraction => Ok(Sizing::FixedFraction { fraction: self.sizing.fraction }),
            SizingMethod::FixedRisk => Err(refused("sizing.method", "fixed_risk")),
            SizingMethod::VolTarget => Err(refused("sizing.method", "vol_target")),
            SizingMethod::SignalWeight => Err(refused("sizing.method", "signal_weight")),
        }
    }

    /// Every value in its range and known to this version, and no two keys against each other.
    pub(super) fn check(&self) -> Result<()> {
        keys::judge_spec(self)?;
        let fault = |key: &str, found: String, expected: String| {
            Err(BadInput::expected(expected).key(key).found(found).into())
        };
        let costs = &self.slippage_costs;
        if costs.min_bps > costs.max_bps {
            return fault(
                "slippage_costs.max_bps",
                costs.max_bps.to_string(),
                format!("at least slippage_costs.min_bps = {}", costs.min_bps),
            );
        }
        if costs.max_bps * costs.stop_slippage_mult >= 1e4 {
            return fault(
                "slippage_costs.stop_slippage_mult",
                costs.stop_slippage_mult.to_string(),
                format!("stops that slip less than 10000 bps with max_bps = {}", costs.max_bps),
            );
        }
        if self.margin.mr_target > self.margin.mr_trim {
            return fault(
                "margin.mr_target",
                self.margin.mr_target.to_string(),
                format!("at most margin.mr_trim = {}", self.margin.mr_trim),
            );
        }
        let regimes = &self.liquidity_regimes;
        if regimes.vacuum_below > regimes.thin_below {
            return fault(
                "liquidity_regimes.vacuum_below",
                regimes.vacuum_below.to_string(),
                format!("at most liquidity_regimes.thin_below = {}", regimes.thin_below),
            );
        }
        if let ActivityProfile::Median { observations } = regimes.plan().regimes.profile
            && observations < regimes.min_obs
        {
            return fault(
                "liquidity_regimes.min_obs",
                regimes.min_obs.to_string(),
                format!("at most the {observations} observations of a slot (liquidity_regimes.profile_obs)"),
            );
        }
        match self.signals.kind {
            SignalKind::Orders | SignalKind::Table if self.signals.path.trim().is_empty() => fault(
                "signals.path",
                "nothing".into(),
                "the path of the table that signals.kind asks for".into(),
            ),
            SignalKind::Rules if self.enters_never() => fault(
                "signals.long_entry",
                "nothing".into(),
                "an expression in long_entry or short_entry, since signals.kind is \"rules\"".into(),
            ),
            _ => Ok(()),
        }
    }

    fn enters_never(&self) -> bool {
        self.signals.long_entry.trim().is_empty() && self.signals.short_entry.trim().is_empty()
    }

    /// Swept names exist, may be swept, and every value is one that its key takes.
    pub(super) fn check_sweep(&self) -> Result<()> {
        let params = &self.signals.params;
        let mut axes = self.sweep.axes()?;
        for (name, spec) in &self.sweep.random.ranges {
            // Of a continuous range the ends are judged: ranges of keys have no holes.
            axes.push(Axis {
                name: name.clone(),
                values: spec.probes(&format!("sweep.random.ranges.{name}"))?,
            });
        }
        for Axis { name, values } in &axes {
            let table = if self.sweep.grid.contains_key(name) { "sweep.grid" } else { "sweep.random.ranges" };
            let at = format!("{table}.{name}");
            let path =
                if params.contains_key(name) { format!("signals.params.{name}") } else { name.clone() };
            if keys::resolve(&path).is_none() {
                return Err(unknown_name(&at, name, params).into());
            }
            if ["output.", "sweep.", "signals.path", "general.bar"]
                .iter()
                .any(|fixed| path.starts_with(fixed))
            {
                return Err(BadInput::expected("a key that changes a trial's result on the same data")
                    .key(at)
                    .found(format!("`{name}`"))
                    .fix("remove it from the sweep")
                    .into());
            }
            for value in values {
                keys::judge(&path, value).map_err(|error| amend(error, |bad| bad.key(&at)))?;
            }
        }
        if self.sweep.is_random() {
            self.sweep.draw_sources()?;
        }
        if self.sweep.rank_by.trim().is_empty() {
            return Err(BadInput::expected("the name of a metric")
                .key("sweep.rank_by")
                .found("nothing")
                .into());
        }
        Ok(())
    }

    /// Keys that are set but not read by the chosen kind of signals, one warning each.
    pub(super) fn idle_keys(&self) -> Vec<String> {
        let kind = self.signals.kind;
        let rules = self.rule_texts();
        let mut warnings = Vec::new();
        if let (Some((key, _)), true) = (rules.first(), kind != SignalKind::Rules) {
            warnings.push(format!("`signals.{key}` is not read: signals.kind is not \"rules\""));
        }
        let (general, plain) = (&self.general, GeneralSpec::default());
        for (key, value, default) in [
            ("maker_fee_bps", general.maker_fee_bps, plain.maker_fee_bps),
            ("taker_fee_bps", general.taker_fee_bps, plain.taker_fee_bps),
        ] {
            if general.fee_tier >= 0 && value != default {
                warnings.push(format!("`general.{key}` is not read: general.fee_tier sets the fees"));
            }
        }
        let (margin, plain) = (&self.margin, MarginSpec::default());
        for (key, is_set) in [
            ("liq_mode", margin.liq_mode != plain.liq_mode),
            ("trim_order", margin.trim_order != plain.trim_order),
        ] {
            if is_set && margin.mode == MarginMode::Isolated {
                warnings.push(format!("`margin.{key}` is not read: margin.mode is \"isolated\""));
            }
        }
        if !self.signals.path.is_empty() && matches!(kind, SignalKind::Oracle | SignalKind::Rules) {
            warnings
                .push("`signals.path` is not read: signals.kind is neither \"orders\" nor \"table\"".into());
        }
        warnings
    }
}

impl LiquidityRegimesSpec {
    /// The plan of these keys alone; whether they contradict each other is [`Spec::plan`]'s to say.
    pub fn plan(&self) -> LiquidityPlan {
        let profile = match (self.profile, self.profile_obs, self.seasonality) {
            (ProfileSpec::Ewma, ..) => ActivityProfile::Ewma { eta: self.profile_eta },
            // Eight weeks, or four weeks of days.
            (ProfileSpec::Median, 0, Seasonality::TimeOfDay) => ActivityProfile::Median { observations: 28 },
            (ProfileSpec::Median, 0, _) => ActivityProfile::Median { observations: 8 },
            (ProfileSpec::Median, observations, _) => ActivityProfile::Median { observations },
        };
        LiquidityPlan {
            enabled: self.enabled,
            regimes: RegimePlan {
                seasonality: self.seasonality,
                profile,
                min_obs: self.min_obs,
                fallback_min_bars: self.fallback_min_bars,
                smooth_bars: self.smooth_bars,
                vacuum_below: self.vacuum_below,
                thin_below: self.thin_below,
                hysteresis: self.hysteresis,
                without_baseline: self.regime_without_baseline,
            },
            vacuum_blocks_entries: self.vacuum_blocks_entries,
            thin_size_mult: self.thin_size_mult,
        }
    }
}

impl Default for RegimePlan {
    /// That of a config that says nothing.
    fn default() -> Self {
        LiquidityRegimesSpec::default().plan().regimes
    }
}

fn refused(key: &str, found: impl std::fmt::Display) -> crate::Error {
    keys::refusal(key, &format!("\"{found}\"")).into()
}

fn unknown_name(at: &str, name: &str, params: &BTreeMap<String, f64>) -> BadInput {
    let mut known = keys::key_paths();
    known.extend(params.keys().cloned());
    let bad = BadInput::expected("a parameter of signals.params or a dotted config key")
        .key(at)
        .found(format!("`{name}`"));
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => bad.fix(format!("did you mean `{near}`?")),
        None => bad.fix(format!("give it a default: signals.params.{name} = …")),
    }
}
