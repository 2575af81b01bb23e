"""The built-in catalogue of aspects, and words that say an opinion, in Chinese and English: a start before anything is labelled.

Own lists, made for shops. An aspect has terms that name it. A telling word says an opinion and its aspect at once, so that
"too expensive" and "塌" are about price and shape though neither is named.
"""

from __future__ import annotations

from typing import Final


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.replace("\n", " ").split("|") if part.strip())


TERMS: Final[dict[str, tuple[str, ...]]] = {
    aspect: _words(terms)
    for aspect, terms in {
        "quality": "quality|build quality|workmanship|craftsmanship|construction|build|finish|stitching|seam|seams|质量|品质|做工|质地|工艺|走线|线头|品控|用料",
        "size": "size|sizing|fit|fits|fitted|length|width|waist|sleeves|dimensions|尺寸|尺码|大小|码数|码子|版型|腰围|袖子|长度|宽度|厚度|型号",
        "comfort": "comfort|cushion|cushioning|padding|ergonomics|舒适度|舒适性|脚感|手感|坐感|穿着感|体感",
        "material": "material|materials|fabric|cloth|cotton|leather|wool|texture|lining|材质|材料|面料|布料|料子|皮质|里料",
        "durability": "durability|lifespan|longevity|耐用性|寿命|使用寿命|耐用度",
        "appearance": "look|looks|appearance|design|style|styling|colour|color|colours|colors|pattern|外观|外形|颜值|样子|款式|设计|颜色|色泽|色差|花色|造型|外表|封面",
        "performance": "performance|speed|processor|cpu|gpu|ram|memory|hard drive|ssd|operating system|性能|速度|运行速度|反应速度|处理器|内存|硬盘|配置|系统|效果|功率|散热|温控|加热",
        "battery": "battery|battery life|charge|charging|charger|power cord|adapter|电池|续航|充电|电量|充电器|待机|待机时间",
        "screen": "screen|display|resolution|brightness|picture quality|image quality|touchscreen|touch screen|屏幕|显示|显示器|分辨率|亮度|画质|显示屏|触屏|像素",
        "sound": "sound|sound quality|audio|bass|volume|speaker|speakers|noise|microphone|音质|声音|音效|喇叭|噪音|音量|低音|扬声器|麦克风|噪声",
        "features": "feature|features|function|functions|functionality|app|software|firmware|keyboard|trackpad|touchpad|camera|功能|软件|固件|键盘|触控板|摄像头|按键|鼠标",
        "connection": "connection|connectivity|wifi|wi-fi|bluetooth|pairing|signal|port|ports|usb|信号|网络|蓝牙|连接|接口|端口|无线",
        "ease_of_use": "ease of use|setup|set up|installation|instructions|manual|assembly|interface|操作|安装|说明书|使用方法|组装|界面|上手",
        "price": "price|prices|pricing|cost|value|value for money|deal|bang for the buck|价格|价钱|性价比|价位|售价|降价|差价|价保",
        "delivery": "delivery|shipping|shipment|courier|arrival|transit|配送|物流|快递|发货|送货|送货速度|配送速度|快递员|送餐|送餐员|外卖员|骑手|小哥|到货",
        "packaging": "packaging|package|box|wrapping|seal|包装|外包装|盒子|包装盒|箱子|封口|餐盒|塑封",
        "service": "service|customer service|support|customer support|tech support|seller|staff|warranty|refund|return policy|replacement|服务|客服|售后|售后服务|服务态度|态度|卖家|店家|商家|老板|退货|退款|换货|保修",
        "authenticity": "authenticity|original|genuine|正品|真伪|真假|防伪|正版|真品",
        "taste": "taste|flavor|flavour|aftertaste|味道|口感|口味|味儿|滋味",
        "smell": "smell|scent|odor|odour|fragrance|气味|香味|味道很冲|异味|香气|气息|臭味",
        "freshness": "freshness|expiry date|expiration date|best before|新鲜度|日期|生产日期|保质期|水果|果子|食材",
        "portion": "portion|portions|portion size|serving|amount|quantity|分量|份量|数量|菜量|重量|斤两",
        "cleanliness": "cleanliness|hygiene|卫生|卫生状况|清洁度|房间卫生|干净程度",
        "weight": "weight|heft|portability|机身重量|便携性",
        "content": "plot|story|writing|characters|author|chapter|acting|lyrics|content|内容|情节|文笔|作者|故事|翻译|纸张|印刷|排版",
        "facilities": "room|rooms|location|breakfast|bed|bathroom|parking|房间|位置|地理位置|早餐|床|卫生间|设施|交通|环境|停车",
    }.items()
}
"""Terms of each aspect: lower case, a phrase with single blanks."""

TELLING: Final[dict[str, tuple[str, str]]] = {
    aspect: (good, bad)
    for aspect, good, bad in (
        (
            "price",
            "affordable|inexpensive|cheap price|good deal|great deal|bargain|worth it|worth every penny|worth the money|worth the price|reasonably priced|well priced|good value|great value|便宜|实惠|划算|物美价廉|物超所值|值得|超值|值了|不贵|价廉物美|很值|优惠",
            "expensive|overpriced|pricey|over priced|waste of money|rip off|ripoff|not worth it|not worth the money|costs too much|money down the drain|贵|太贵|偏贵|坑钱|不值|性价比低|涨价|小贵|不划算|降价了|价格高|浪费钱|不值这个价",
        ),
        (
            "size",
            "true to size|fits perfectly|fit perfectly|fits well|fits great|fits like a glove|perfect fit|合身|合适|合脚|大小合适|尺码标准|尺寸合适|刚刚好|正合适|正好",
            "too small|too big|too large|too tight|too loose|too long|too short|runs small|runs large|runs big|fits small|fits large|runs short|runs wide|runs narrow|doesn't fit|did not fit|didn't fit|does not fit|偏小|偏大|偏短|偏长|太小|太大|太短|太长|太紧|太松|有点大|有点小|有点紧|有点短|有点长|不合身|不合适|不合脚|小了|大了|短了|紧了|松松垮垮",
        ),
        (
            "comfort",
            "comfortable|comfy|cozy|cosy|breathable|舒服|舒适|透气|柔软|软和|亲肤",
            "uncomfortable|itchy|scratchy|不舒服|闷热|闷脚|磨脚|硌|扎人|不透气|闷",
        ),
        (
            "appearance",
            "beautiful|gorgeous|stylish|pretty|cute|flattering|elegant|sleek|好看|漂亮|美观|美观大方|时尚|精致|大方|显瘦|可爱|洋气|高档|高大上|颜值高",
            "ugly|hideous|unflattering|faded|see through|see-through|难看|丑|老气|土气|掉色|褪色|有色差|色差大|显胖|显老",
        ),
        (
            "durability",
            "durable|sturdy|solid|long lasting|long-lasting|holds up|held up|still works|耐用|结实|牢固|经久耐用|耐穿|耐磨|扎实",
            "broke|broken|fell apart|falls apart|falling apart|stopped working|quit working|flimsy|cracked|tore|torn|ripped|wore out|snapped|leaks|leaked|leaking|坏了|坏掉|又坏|开裂|裂了|断了|破了|破洞|掉漆|脱胶|开胶|漏水|不耐用|散架|用不了|不能用|报废|起球|变形|塌|塌了|塌陷|松动|生锈|开线|脱线",
        ),
        (
            "quality",
            "well made|well-made|high quality|top quality|good quality|great quality|excellent quality|质量好|做工精细|精细|品质好|做工好",
            "poorly made|cheaply made|poor quality|low quality|bad quality|junk|defective|faulty|shoddy|劣质|粗糙|次品|残次|瑕疵|毛刺|做工差|质量差|劣|偷工减料|有毛病|有问题|质量问题",
        ),
        (
            "delivery",
            "arrived quickly|arrived fast|arrived on time|arrived early|fast shipping|quick shipping|prompt delivery|ships fast|到货快|送货快|发货快|很快就到|送得快|准时|第二天就到|隔天就到|次日达|神速|当天就到",
            "arrived late|never arrived|late delivery|never received|took forever|took weeks|delayed|lost in the mail|slow shipping|发货慢|迟迟不发货|送得慢|送货慢|等了很久|超时|还没到|没收到|没送到|迟到|晚了|送错",
        ),
        (
            "packaging",
            "well packaged|well packed|nicely packaged|carefully packed|包装完好|包得很好|包装严实|包装精美",
            "poorly packaged|badly packaged|box was damaged|damaged box|box was crushed|dented|包装破损|破损|压坏|撒了|洒了|压扁|漏了|包装简陋|二手|拆封",
        ),
        (
            "service",
            "helpful|friendly|courteous|responsive|polite|热情|耐心|周到|贴心|有耐心|负责",
            "rude|unhelpful|unresponsive|no response|ignored|refused|态度差|不理人|不理|没人管|推卸|敷衍|欺骗|骗人|忽悠|无人应答|打不通|不负责|不给退|不退",
        ),
        (
            "authenticity",
            "authentic|the real thing|是正品|保证正品|正品保证",
            "fake|counterfeit|knock off|knockoff|knock-off|not genuine|not authentic|假货|假的|盗版|山寨|水货|冒牌|仿冒|翻新|不是正品",
        ),
        (
            "performance",
            "fast|quick|speedy|powerful|responsive|snappy|efficient|works great|works well|works perfectly|流畅|好使|给力|运行快|反应快|效果好|见效|管用|强劲",
            "slow|sluggish|lags|laggy|freezes|froze|crashes|crashed|overheats|overheating|doesn't work|does not work|didn't work|did not work|not working|won't turn on|卡顿|死机|黑屏|蓝屏|发热|发烫|烫手|运行慢|反应慢|没效果|没用|没有用|没什么用|不管用|不起作用|反应迟钝",
        ),
        (
            "battery",
            "holds a charge|holds its charge|long battery|续航强|耐用时间长|充电快",
            "won't charge|does not charge|doesn't charge|won't hold a charge|drains|drains fast|dead battery|掉电|耗电|费电|充不进|没电|充电慢|不耐电",
        ),
        (
            "sound",
            "quiet|crisp sound|清脆|安静|静音",
            "noisy|muffled|tinny|buzzing|rattles|吵|刺耳|杂音|嗡嗡|太吵|有杂音|声音大|噪音大",
        ),
        (
            "ease_of_use",
            "easy to use|easy to install|easy to set up|easy to assemble|easy to clean|user friendly|user-friendly|intuitive|straightforward|convenient|handy|方便|便捷|简单易用|易用|好操作|容易上手|简便|省事|省心|人性化",
            "hard to use|difficult to use|hard to install|confusing|complicated|cumbersome|inconvenient|hard to clean|麻烦|不方便|复杂|难用|费劲|不会用|难装|繁琐|不好装|不人性化",
        ),
        (
            "taste",
            "delicious|tasty|yummy|flavorful|好吃|美味|可口|香甜|鲜美|很甜|入味|好喝|清甜|香脆|爽口",
            "bland|tasteless|disgusting|stale|bitter|难吃|难喝|不好吃|不好喝|太咸|太油|太辣|太淡|咸死|油腻|不入味|没味道|酸的|太甜|齁|没熟|不甜|半生不熟|夹生",
        ),
        (
            "smell",
            "smells great|smells good|smells amazing|smells nice|好闻|清香|香喷喷|没有异味|无异味|没异味",
            "smells bad|smelly|stinks|reeks|smells awful|smells like|刺鼻|难闻|臭|有味道|有异味|塑料味|味道大|味道重|怪味|霉味|呛人",
        ),
        (
            "freshness",
            "fresh|新鲜|水分足|多汁|脆甜",
            "rotten|expired|mold|moldy|spoiled|烂|烂了|坏果|不新鲜|过期|发霉|变质|烂的|长毛|临期|馊|蔫",
        ),
        (
            "portion",
            "generous portion|plenty|分量足|量足|份量足|足量|量大|分量大|量很足",
            "量少|太少|分量少|缺斤少两|少了|不够吃|份量少|量太少|少发|漏发|漏送|缺货|吃不饱",
        ),
        ("cleanliness", "干净|卫生|整洁|spotless|clean", "dirty|filthy|stained|脏|不干净|不卫生|头发丝|虫子|苍蝇|污渍|霉点"),
        ("weight", "lightweight|light weight|portable|轻便|轻巧|便携", "heavy|bulky|笨重|太重|沉甸甸|很沉|太沉"),
        ("material", "soft fabric|纯棉|真皮", "thin fabric|cheap material|cheap plastic|plasticky|薄|太薄|很薄|偏薄|化纤|塑料感"),
        ("connection", "connects easily|pairs easily|信号好", "disconnects|won't connect|drops connection|断网|连不上|掉线|没信号|信号差|断断续续"),
        ("content", "well written|page turner|engrossing|引人入胜|受益匪浅|通俗易懂|深入浅出|感人", "boring|predictable|poorly written|枯燥|乏味|无聊|啰嗦|空洞|错别字|缺页|看不下去"),
    )
    if good or bad
}  # fmt: skip
"""Words that say an opinion and its aspect: good ones and bad ones of each."""

GOOD: Final = _words(
    "good|great|excellent|amazing|awesome|fantastic|perfect|perfectly|wonderful|love|loved|loves|nice|best|superb|outstanding|impressive|"
    "impressed|happy|pleased|satisfied|enjoy|enjoyed|recommend|recommended|like|liked|favorite|better|fine|decent|brilliant|incredible|"
    "terrific|solid|smooth|bright|clear|crisp|sharp|vivid|rich|strong|pleasant|reliable|generous|accurate|flawless|thrilled|delighted|"
    "exceeded|well|works|plus|pros|soft|sturdy|"
    "好|很好|不错|挺好|非常好|棒|赞|喜欢|满意|完美|优秀|一流|超好|可以|还行|还可以|不赖|杠杠的|好用|满足|推荐|值得推荐|给力|爱了|惊喜|出色|"
    "到位|清晰|清楚|细腻|强|足|快|很快|精美|高|齐全|丰富|稳定|没问题|没毛病|没话说|没得说|厚实|够用|强大|一级棒|无可挑剔|没有问题|好评|放心|用心|及时|迅速|"
    "开心|亮|顺滑|灵敏|灵活|宽敞|合理|先进|准确|独特|鲜艳|优质|优越|舒畅|靠谱|良心|软|大气"
)
"""Words that are good of whatever they stand with."""

BAD: Final = _words(
    "bad|terrible|awful|horrible|poor|worst|worse|disappointing|disappointed|disappointment|hate|hated|useless|worthless|garbage|crap|trash|"
    "annoying|frustrating|frustrated|unhappy|dissatisfied|problem|problems|issue|issues|complaint|regret|lousy|mediocre|weak|dim|blurry|"
    "grainy|dull|unreliable|inaccurate|cheap|ridiculous|pathetic|fails|failed|failure|fail|unacceptable|returned|return|returning|avoid|dies|died|"
    "con|cons|lacking|lacks|missing|wrong|damaged|dead|loose|rough|stiff|limited|"
    "差|很差|太差|差劲|烂|垃圾|糟糕|糟|失望|后悔|不满意|不满|不好|不行|不喜欢|不推荐|无语|坑|坑人|坑爹|差评|生气|气人|恶心|讨厌|郁闷|遗憾|"
    "欠缺|不足|缺点|不清晰|不清楚|模糊|一般|不怎么样|不咋地|不咋的|凑合|马马虎虎|弱|薄弱|低|慢|很慢|太慢|硬|不理想|不够|一塌糊涂|逊色|"
    "不如|上当|受骗|问题|毛病|故障|不灵|失灵|不灵敏|生硬|单薄|单调|狭小|不齐|偏高|偏低|过高|偏硬|差远了|小气|败笔|昂贵|不稳定|不到位"
)
"""Words that are bad of whatever they stand with."""

NEGATION: Final = frozenset(
    _words("not|no|never|without|hardly|barely|nor|neither|cannot|cant|can't|dont|don't|doesn't|doesnt|didn't|didnt|isn't|isnt|wasn't|wasnt|aren't|arent|weren't|won't|wont|wouldn't|couldn't|shouldn't|haven't|hasn't|hadn't|ain't|lacks|lack|nothing|n't")
)  # fmt: skip
"""English words that turn an opinion that follows within `NEGATION_REACH` words."""
NEGATION_REACH = 3
CHINESE_NEGATION: Final = (
    "并不",
    "不是",
    "没有",
    "不够",
    "不太",
    "不怎么",
    "不算",
    "毫无",
    "从不",
    "没",
    "不",
    "无",
    "非",
    "未",
    "别",
)
"""Chinese words that turn an opinion that follows within `CHINESE_REACH` characters."""
CHINESE_REACH = 3
CONTRAST: Final = _words(
    "but|however|although|though|yet|except|unfortunately|whereas|despite|"
    "但是|不过|可是|就是|只是|然而|虽然|尽管|可惜|唯一|除了|但|却|而是|美中不足"
)
"""Words after which another opinion begins."""
STRONGER: Final = _words(
    "very|extremely|really|super|absolutely|incredibly|so|非常|特别|超级|十分|极其|相当|太|超|真的|真|巨|贼|很"
)
WEAKER: Final = _words(
    "slightly|a bit|a little|somewhat|kind of|sort of|fairly|有点|有些|稍微|略|略微|比较|稍"
)
"""Words before an opinion that make it stronger or weaker."""
NO_OPINION: Final = _words(
    "as well|well as|as long as|so far|not only|a good deal of|would like|i'd like|look like|looks like|feels like|sounds like|seems like|"
    "feel like|just like|like this|like a|like the|like that|a lot like|better than nothing|fine print|at best|good luck|"
    "不仅|不但|不光|不只|不管|不论|无论|没想到|分别|别人|别的|级别|区别|性别|可以说|好几|好多|好久|好像|好不容易|最好|只好|快递|"
    "长时间|好评返现|一般都|比较好奇|以后|不知道|不会|不用|不要|没事|勉强|强迫|加强|贵州|贵公司|尽快|快要|凉快|高中|高铁|低头|足球|"
    "差不多|差点|出差|时差|软件|硬盘|硬件|好友|好奇|爱好|问一下|请问|不知|不小心|不得不|要不|不然|无线|无糖|无痛|别说"
)
"""Phrases whose words are no opinion and no negation though they look like it."""
GOOD_PHRASES: Final = _words(
    "no problem|no problems|no issues|no issue|no complaints|no complaint|can't go wrong|cannot go wrong|much better|far better|"
    "cannot be beaten|can't beat|问题不大|没有毛病|高兴|良好|没有缺点|没有瑕疵|没有破损|没有坏|没坏|挑不出毛病|友好|刚好|完好无损"
)
BAD_PHRASES: Final = _words(
    "not worth|no use|let down|waste of time|do not buy|don't buy|不值得|大失所望|没有想象中好|不如以前"
)
"""Phrases that are good or bad against what their words say."""
OF_ASPECT: Final[dict[tuple[str, str], int]] = {
    ("price", "cheap"): 1, ("price", "low"): 1, ("price", "lower"): 1, ("price", "high"): -1, ("price", "higher"): -1, ("price", "高"): -1, ("price", "低"): 1,
    ("price", "更低"): 1, ("price", "偏低"): 1, ("battery", "long"): 1, ("battery", "short"): -1, ("battery", "长"): 1, ("battery", "短"): -1,
    ("size", "small"): -1, ("size", "tight"): -1, ("screen", "大"): 1, ("screen", "小"): -1, ("screen", "large"): 1, ("screen", "small"): -1,
    ("sound", "大"): -1, ("sound", "小"): 1, ("sound", "loud"): 1, ("sound", "low"): -1, ("delivery", "long"): -1, ("portion", "大"): 1, ("portion", "多"): 1,
    ("portion", "小"): -1, ("portion", "少"): -1, ("portion", "large"): 1, ("portion", "small"): -1, ("material", "厚"): 1, ("material", "thick"): 1,
    ("material", "thin"): -1, ("performance", "low"): -1, ("comfort", "hard"): -1, ("size", "大"): -1, ("size", "小"): -1,
}  # fmt: skip
"""Words that are good or bad of one aspect only."""
